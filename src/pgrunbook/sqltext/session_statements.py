"""Statements that a file may not hold: those that end its transaction, or outlive it in the
session.

`psql -1 -f` has a session for each file; a run has one for all blocks and its ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pglast import ast
from pglast.enums import (
    CURSOR_OPT_HOLD,
    ObjectType,
    OnCommitAction,
    VariableSetKind,
)

from pgrunbook.sqltext import search_paths
from pgrunbook.sqltext.parse_tree import calls_of

_OUTLIVES = "outlives the block in the session, which is the ledger's and the next block's too"
_LOCAL = (
    "write SET LOCAL, which ends with the block; timeouts belong into the header, and a function "
    "can have settings of its own"
)
# All statements of a block are read before the first one runs, by the parser of the plan, too.
_READING = {"standard_conforming_strings": ("on", "true"), "client_encoding": ("utf8", "utf-8")}
_SNAPSHOT = (
    "delete the statement: each statement of a block sees what is committed when it begins. Put "
    "what has to see one snapshot into one statement, as WITH can; or take the locks first"
)
_AS_READ = "delete the statement, and write E'…' where a backslash is to escape; files are UTF-8"
_ROLE = "write SET LOCAL ROLE, or the header role: in between the run is itself again"
_DROPPED = "add ON COMMIT DROP, or drop it at the end of the file"


def find_misplaced(nodes: Sequence[ast.Node], *, kept: bool) -> Iterator[tuple[int, str, str]]:
    """Yield each statement that a file may not hold: its index, what is wrong, and what to do.

    `kept`: whether the file is committed; what is rolled back may change the session.
    """
    dropped: set[str] = set()
    for node in nodes:
        dropped.update(_dropped_names(node))
    for number, node in enumerate(nodes):
        what, remedy = _complaint(node, kept=kept)
        name = _temporary_name(node)
        if what:
            yield number, what, remedy
        elif kept and name and name not in dropped:
            what = f"leaves {name}, which is temporary, behind: it {_OUTLIVES}"
            yield number, what, _DROPPED


def _complaint(node: ast.Node, *, kept: bool) -> tuple[str, str]:
    """Return what is wrong with a statement, and what to do about it; empty texts if nothing is."""
    if any(map(search_paths.hides_pg_catalog, search_paths.paths_set(node))):
        return search_paths.LATE, search_paths.LEAVE_OUT
    match node:
        case ast.TransactionStmt(options=(_, *_)):  # BEGIN ISOLATION LEVEL …
            return "controls the transaction itself", _SNAPSHOT
        case ast.TransactionStmt():
            remedy = "delete the statement: the block and its ledger row commit together"
            return "controls the transaction itself", remedy
        case ast.VariableSetStmt() if _of_transaction(node):
            return "controls the transaction itself", _SNAPSHOT
        case ast.VariableSetStmt(name="session_authorization") if kept:
            return "changes who the session belongs to, and so who writes into the ledger", _ROLE
        case ast.VariableSetStmt(name=name) if _reads_otherwise(name, node.args):
            return "changes how the server reads the statements behind it", _AS_READ
        case ast.CopyStmt(filename=None):
            return "copies rows from or to a client that has none", "use INSERT, or SELECT"
        case ast.VariableSetStmt(is_local=local) if kept and not local:
            return f"changes the session: it {_OUTLIVES}", _locally(node)
        # nothing rolls these back
        case ast.DiscardStmt() | ast.PrepareStmt() | ast.DeallocateStmt() | ast.LoadStmt():
            return f"changes the session: it {_OUTLIVES}", "delete the statement"
        case ast.ListenStmt() | ast.UnlistenStmt() if kept:
            return f"changes the session: it {_OUTLIVES}", "delete the statement"
        case ast.ClosePortalStmt(portalname=None) if kept:
            return "closes the cursors of the run, too", "close each cursor by its name"
        case ast.DeclareCursorStmt(options=options) if options & CURSOR_OPT_HOLD:
            return f"changes the session: it {_OUTLIVES}", "leave WITH HOLD out"
    if kept and _sets_for_the_session(node):
        return f"changes the session: it {_OUTLIVES}", "give set_config() true for is_local"
    return "", ""


def _locally(node: ast.VariableSetStmt) -> str:
    """Return what to write in place of a statement that changes the session."""
    if node.kind != VariableSetKind.VAR_RESET:
        return _LOCAL
    if node.name == "role":
        return "write SET LOCAL ROLE NONE, which ends with the block"
    return f"write SET LOCAL {node.name} TO DEFAULT, which ends with the block"


def _of_transaction(node: ast.VariableSetStmt) -> bool:
    """Return whether it says how the transaction goes: its isolation, or that it only reads."""
    if node.kind == VariableSetKind.VAR_SET_MULTI:
        return True
    name = (node.name or "").lower()
    return name.startswith("transaction_") and name != "transaction_timeout"


def _reads_otherwise(name: str | None, arguments: Sequence[ast.Node] | None) -> bool:
    """Return whether a setting is about how SQL is read, and has another value than in our
    sessions.
    """
    ours = _READING.get((name or "").lower())
    if ours is None:
        return False
    match arguments:
        case (ast.A_Const(val=ast.String(sval=value)),):
            return value.lower() not in ours
    return True


def _sets_for_the_session(node: ast.Node) -> bool:
    """Return whether the statement calls `set_config(name, value, false)`."""
    for args in calls_of(node, "set_config"):
        match args:
            case (_, _, ast.A_Const(val=ast.Boolean(boolval=False))):
                return True
    return False


def _temporary_name(node: ast.Node) -> str:
    """Return the name of what a statement makes in pg_temp and leaves there; empty if nothing."""
    match node:
        case ast.CreateStmt(relation=relation, oncommit=end):
            pass
        case ast.CreateTableAsStmt(into=ast.IntoClause(rel=relation, onCommit=end)):
            pass
        case ast.SelectStmt(intoClause=ast.IntoClause(rel=relation, onCommit=end)):
            pass
        case ast.ViewStmt(view=relation) | ast.CreateSeqStmt(sequence=relation):
            end = OnCommitAction.ONCOMMIT_NOOP
        case _:
            return ""
    temporary = relation.relpersistence == "t" or relation.schemaname == "pg_temp"
    if not temporary or end == OnCommitAction.ONCOMMIT_DROP:
        return ""
    return str(relation.relname)


_RELATIONS = (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_VIEW, ObjectType.OBJECT_SEQUENCE)


def _dropped_names(node: ast.Node) -> list[str]:
    match node:
        case ast.DropStmt(removeType=kind, objects=names) if kind in _RELATIONS:
            return [name[-1].sval for name in names]
    return []
