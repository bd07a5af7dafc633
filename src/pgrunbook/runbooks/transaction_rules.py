"""Which statements run in a transaction with the ledger's row, and which PostgreSQL refuses
there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast
from pglast.enums import ReindexObjectType

from pgrunbook.errors import Problem
from pgrunbook.runbooks.scripts import Script


def problems(script: Script) -> Iterator[Problem]:
    """Yield what is wrong with a file's header `transaction`, and with its statements beside it.

    What PostgreSQL refuses inside a transaction has a block of its own, and that block holds
    nothing else: its statements wait for their locks as long as need be, which only these can do
    without the application waiting too.
    """
    given = script.header.get("transaction", "yes")
    if given not in ("yes", "no"):
        yield Problem(
            "is neither yes nor no", where=f"{script.name}, header transaction", found=given
        )
    # a variant lies in a folder: several of them are one block, and commit together
    if given == "no" and script.name.count("/") > 1:
        yield Problem(
            "a variant cannot run outside a transaction",
            where=script.name,
            remedy="make it a block",
        )
    for statement in script.parsed:
        where, found = f"{script.name}:{statement.line}", statement.sql.splitlines()[0]
        alone = needs_no_transaction(statement.node)
        if alone and given != "no":
            remedy = (
                "move it to a block of its own, with the header `transaction: no`; or leave out "
                "CONCURRENTLY"
            )
            yield Problem("cannot run inside a transaction", where, found=found, remedy=remedy)
        elif alone and (why := _blocks_others(statement.node)):
            yield Problem(why, where, found=found)
        # a comment may stand behind the index that it is about
        elif not alone and given == "no" and not isinstance(statement.node, ast.CommentStmt):
            remedy = "move it to a block without the header `transaction: no`"
            yield Problem("can run inside a transaction", where, found=found, remedy=remedy)


def needs_no_transaction(node: Any) -> bool:
    """Return whether PostgreSQL refuses the statement inside a transaction block
    (PreventInTransactionBlock).
    """
    match node:
        case (
            ast.IndexStmt(concurrent=True)
            | ast.DropStmt(concurrent=True)
            | ast.VacuumStmt(is_vacuumcmd=True)  # ANALYZE alone is a VacuumStmt, too
        ):
            return True
        case ast.ReindexStmt(kind=kind, params=params):
            # of a schema or a database, it commits after each table
            return kind in _WHOLE or _has(params, "concurrently")
        case ast.AlterTableStmt(cmds=cmds):  # DETACH PARTITION … CONCURRENTLY
            return any(getattr(c.def_, "concurrent", False) for c in cmds)
    return isinstance(node, ast.CreatedbStmt | ast.DropdbStmt | ast.AlterSystemStmt)


_WHOLE = (
    ReindexObjectType.REINDEX_OBJECT_SCHEMA,
    ReindexObjectType.REINDEX_OBJECT_SYSTEM,
    ReindexObjectType.REINDEX_OBJECT_DATABASE,
)


def _has(options: Any, name: str) -> bool:
    return name in [option.defname for option in options or ()]


def _blocks_others(node: Any) -> str:
    """Return why a statement that needs no transaction is nothing for a runbook; empty if nothing
    is.
    """
    match node:
        case ast.VacuumStmt(is_vacuumcmd=True, options=options) if _has(options, "full"):
            return "VACUUM FULL locks reads and writes out for as long as it copies the table"
        case ast.VacuumStmt(rels=None):
            return "name the tables: without, it works on the whole database"
        case ast.ReindexStmt(kind=kind) if kind in _WHOLE:
            return "name the table or the index: this works on all of them"
        case ast.CreatedbStmt() | ast.DropdbStmt() | ast.AlterSystemStmt():
            return "is not about this database"
    return ""
