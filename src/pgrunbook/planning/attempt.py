"""Pending blocks, run one after the other on a twin that is without what they make: what each
statement changes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import psycopg
from pglast import ast, parse_sql
from pglast.enums import AlterTableType
from pglast.stream import RawStream
from psycopg import errors
from psycopg.pq import TransactionStatus

from pgrunbook.errors import Problem
from pgrunbook.inventory import read
from pgrunbook.inventory.changed import overwritten, written
from pgrunbook.inventory.objects import Definition, Object, differences
from pgrunbook.planning.judgement import Trial
from pgrunbook.planning.timeline import Change, Step, Work
from pgrunbook.postgres import search_path
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.made import Made, made

_STATEMENT_TIMEOUT = "60s"  # on a twin without rows


class Attempt:
    """Runs blocks on a twin. `steps` are the statements so far, as they went."""

    def __init__(self, twin: Twin, schema: str) -> None:
        self.steps: list[Step] = []
        self._schema = schema
        with ExitStack() as stack:
            self._conn = stack.enter_context(twin.session())
            self._beside = stack.enter_context(twin.arranging())
            self._stack = stack.pop_all()
        for conn in (self._conn, self._beside):
            conn.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'".encode())

    def close(self) -> None:
        """End the sessions."""
        self._stack.close()

    def clear_away(self, objects: Sequence[Made]) -> None:
        """Take away what these statements make, the last first, with what depends on it."""
        self._see(self._beside)
        for each in reversed(objects):
            if each.name and not _stays(each):
                # a schema, if nothing else is in it
                self._try_to(each.undone.removesuffix(" CASCADE" if each.kind == "schema" else ""))
        self._beside.execute(f"SET search_path = {search_path.OURS}".encode())

    def _try_to(self, statement: str) -> None:
        """Without effect where it fails: what is not there, or was renamed, or others need."""
        try:
            self._beside.execute(statement.encode())
        except psycopg.Error:
            if self._beside.closed:
                raise

    def _see(self, conn: psycopg.Connection[Any]) -> None:
        conn.execute(f"SET search_path = {search_path.of(self._schema)}".encode())

    def run(self, blocks: Sequence[Block]) -> list[Trial]:
        """Run blocks, and keep what each statement changes; up to the first that fails."""
        seen = Seen(self._conn, self._beside)
        trials: list[Trial] = []
        for block in blocks:
            if trials and (trials[-1].failure or not trials[-1].tried):
                trials.append(Trial(block.name, len(block.statements), tried=False))
            else:
                trials.append(self._run(block, seen))
        return trials

    def _run(self, block: Block, seen: Seen) -> Trial:
        self._see(self._conn)
        run = _in_transaction if block.transaction else _alone
        steps: list[Step] = []
        failure = None
        try:
            for step in run(self._conn, block, seen):
                steps.append(step)
        except _Failed as exc:
            failure, steps = exc.problem, []
        first = len(self.steps) + 1
        self.steps += steps
        numbers = range(first, len(self.steps) + 1)
        return Trial(block.name, len(block.statements), numbers, failure=failure)


def _stays(each: Made) -> bool:
    """Whether a statement that makes it may find it there: it replaces it, or leaves it alone. An
    extension may take a superuser to make.
    """
    return each.replaces or each.kind == "extension" or (each.kind == "schema" and each.lenient)


class _Failed(Exception):
    def __init__(self, statement: Statement, exc: psycopg.Error) -> None:
        where = statement.place(int(exc.diag.statement_position or 1) - 1)
        found = exc.diag.message_primary or str(exc)
        self.problem = Problem("fails on the twin", where, "the statement runs", found)


def _in_transaction(conn: psycopg.Connection[Any], block: Block, seen: Seen) -> Iterator[Step]:
    conn.execute("BEGIN")
    try:
        for index, statement in enumerate(block.statements):
            conn.execute("SAVEPOINT pgrunbook_attempt")
            _execute(conn, statement)
            changes = seen.written()
            if unnamed(statement) and (before := seen.doubled(changes)):
                conn.execute("ROLLBACK TO pgrunbook_attempt")
                for each in before:
                    conn.execute(_dropping(each).encode())
                    seen.forget(each)
                _execute(conn, statement)
                changes = seen.written()
            conn.execute("RELEASE pgrunbook_attempt")
            seen.take(changes)
            yield _step(block.name, index, statement, changes)
        conn.execute("COMMIT")
    finally:
        if not conn.closed and conn.info.transaction_status != TransactionStatus.IDLE:
            conn.execute("ROLLBACK")


def _execute(conn: psycopg.Connection[Any], statement: Statement) -> None:
    try:
        conn.execute(statement.sql.encode())
    except psycopg.Error as exc:
        again = _forgiving(statement.sql, exc)
        if again is None or conn.closed:
            raise _Failed(statement, exc) from exc
        conn.execute("ROLLBACK TO pgrunbook_attempt")
        try:
            conn.execute(again.encode())
        except psycopg.Error as other:
            raise _Failed(statement, other) from exc


def _alone(conn: psycopg.Connection[Any], block: Block, seen: Seen) -> Iterator[Step]:
    """Each statement by itself, as PostgreSQL refuses them in a transaction."""
    for index, statement in enumerate(block.statements):
        try:
            conn.execute(statement.sql.encode())
        except psycopg.Error as exc:
            raise _Failed(statement, exc) from exc
        changes = seen.anywhere()
        seen.take(changes)
        yield _step(block.name, index, statement, changes)


def unnamed(statement: Statement) -> bool:
    """Whether it leaves a name to PostgreSQL, which takes another one where that is taken."""
    return any(not each.name for each in made(statement.node))


def _dropping(each: Object) -> str:
    if each.type == "index":
        return f"DROP INDEX {each.identity}"
    name, _, table = each.identity.rpartition(" on ")
    return f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE"


def _nameless(each: Object, definition: Definition) -> dict[str, Any]:
    """The properties without the name, which the definition of an index holds."""
    name = each.identity.rpartition(".")[2]
    text = str(definition.properties.get("definition", ""))
    return {**definition.properties, "definition": text.replace(f" {name} ", " ", 1)}


class Seen:
    """What is on the twin, as it was last seen; and what has changed since."""

    def __init__(self, conn: psycopg.Connection[Any], beside: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._beside = beside
        self._now = read.read(conn)
        self._at = self._now.at()
        self._made: set[Object] = set()

    def written(self) -> dict[Object, Change]:
        """What the transaction has changed, by the rows of the catalog that carry its number; what
        it has dropped, the session beside it still sees.
        """
        found = written(self._conn)
        if found.xid is None:
            return {}
        addresses = {*found.addresses}
        addresses |= {*overwritten(self._beside, found.xid, found.deleted_from)}
        before = {self._at[each] for each in addresses if each in self._at}
        now = read.read_objects(self._conn, sorted(addresses))
        self._at |= now.at()
        self._now.owners |= now.owners
        return _changes({each: self._now[each] for each in before if each in self._now}, now)

    def doubled(self, changes: Mapping[Object, Change]) -> list[Object]:
        """What no block has made, and differs from what has just been made by its name alone."""
        new = [(each, after) for each, (before, after) in changes.items() if before is None]
        return [old for each, after in new if after and (old := self._double(each, after))]

    def _double(self, new: Object, definition: Definition) -> Object | None:
        now = self._now
        for old, owner in now.owners.items():
            if old not in now or old in self._made or old.type != new.type:
                continue
            if owner == now.owners.get(new) and _nameless(old, now[old]) == _nameless(
                new, definition
            ):
                return old
        return None

    def forget(self, each: Object) -> None:
        """Take it for not there before."""
        del self._now.definitions[each]

    def anywhere(self) -> dict[Object, Change]:
        """What has changed, wherever."""
        now = read.read(self._conn)
        self._at |= now.at()
        return _changes(self._now, now)

    def take(self, changes: Mapping[Object, Change]) -> None:
        """Know these changes."""
        self._made |= changes.keys()
        for each, (_, after) in changes.items():
            if after is None:
                self._now.definitions.pop(each, None)
            else:
                self._now.definitions[each] = after


def _step(block: str, index: int, statement: Statement, changes: Mapping[Object, Change]) -> Step:
    objects = made(statement.node)
    lenient = {each.name for each in objects if each.lenient and each.kind == "table column"}
    replacing = any(each.replaces for each in objects)
    return Step(
        block,
        index,
        changes,
        _work(statement.node),
        frozenset(each for each in changes if _is_column(each, lenient)),
        frozenset(each for each in changes if replacing and changes[each][0] is not None),
    )


def _is_column(each: Object, names: set[str]) -> bool:
    last = each.identity.rpartition(".")[2].strip('"').replace('""', '"')
    return each.type == "table column" and last in names


def _work(node: ast.Node) -> Work:
    match node:
        case ast.SelectStmt(intoClause=ast.IntoClause()):
            return Work.NONE
        case (
            ast.SelectStmt()
            | ast.InsertStmt()
            | ast.UpdateStmt()
            | ast.DeleteStmt()
            | ast.MergeStmt()
            | ast.CopyStmt()
            | ast.TruncateStmt()
            | ast.DoStmt()
            | ast.CallStmt()
            | ast.ExecuteStmt()
        ):
            return Work.ROWS
        case (
            ast.VacuumStmt()
            | ast.ReindexStmt()
            | ast.ClusterStmt()
            | ast.RefreshMatViewStmt()
            | ast.LockStmt()
            | ast.VariableSetStmt()
            | ast.ConstraintsSetStmt()
            | ast.CheckPointStmt()
        ):
            return Work.UPKEEP
    return Work.NONE


def _forgiving(statement: str, exc: psycopg.Error) -> str | None:
    """What to run in place of a statement that fails as it has been done before the twin was made,
    and cannot be undone there: it drops what is gone, or adds what others need. None: there is
    nothing to forgive.
    """
    node = parse_sql(statement)[0].stmt
    match node:
        case ast.CreateSchemaStmt() | ast.CreateExtensionStmt() | ast.AlterEnumStmt():
            there = isinstance(exc, errors.DuplicateSchema | errors.DuplicateObject)
            return "" if there else None
        case ast.DropStmt():
            return "" if isinstance(exc, _UNKNOWN) else None
        case ast.AlterTableStmt() if isinstance(exc, _UNKNOWN):
            dropping = [command for command in node.cmds if command.subtype in _DROPPING]
            for command in dropping:
                command.missing_ok = True
            return str(RawStream()(node)) if dropping else None
    return None


_UNKNOWN = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedObject,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)
_DROPPING = (AlterTableType.AT_DropColumn, AlterTableType.AT_DropConstraint)


def _changes(
    before: Mapping[Object, Definition], after: Mapping[Object, Definition]
) -> dict[Object, Change]:
    return {
        each.object: (each.before, each.after)
        for each in differences(before, after)
        if each.before != each.after
    }
