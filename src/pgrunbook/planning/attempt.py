"""Pending blocks, run one after the other on a twin that is without what they make: what each
statement changes there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import psycopg
from pglast import ast, parse_sql
from pglast.enums import AlterTableType
from pglast.stream import RawStream
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Object
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.judgement import Trial
from pgrunbook.planning.timeline import Change, Step, Work
from pgrunbook.planning.twin_state import TwinState, dropping, is_one_of
from pgrunbook.postgres import search_path
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import CreatedObject, created_objects, dropped_objects

_STATEMENT_TIMEOUT = "60s"  # on a twin without rows


def failed(twin: Twin, path: str, decisions: Sequence[Decision]) -> Trial | None:
    """The first block that fails there, if what was decided is run on the twin; `path` is that of
    blocks without one."""
    blocks = [
        replace(d.block, statements=tuple(d.block.statements[n] for n in d.statements))
        for d in decisions
        if d.pending
    ]
    with closing(Attempt(twin, path, apart=False)) as attempt:
        return next((trial for trial in attempt.run(blocks) if trial.failure), None)


class Attempt:
    """Runs blocks on a twin. `steps` are the statements so far, or the blocks, as they went."""

    def __init__(self, twin: Twin, path: str, *, apart: bool = True) -> None:
        """`path` is the search path of blocks that have none of their own; `apart`: look after each
        statement, and not only after each block.
        """
        self._apart = apart
        self.steps: list[Step] = []
        self._path = path
        self._missing = twin.missing
        self._role = sql.Identifier(twin.role)
        with ExitStack() as stack:
            self._conn = stack.enter_context(twin.session())
            self._beside = stack.enter_context(twin.arranging())
            self._stack = stack.pop_all()
        for conn in (self._conn, self._beside):
            conn.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'".encode())

    def close(self) -> None:
        """End the sessions."""
        self._stack.close()

    def clear_away(self, blocks: Sequence[Block]) -> None:
        """Take away what the blocks make, the last first, with what depends on it. What they drop
        before they make it was there before them: it stays.
        """
        before = _dropped_first(blocks)
        for block in reversed(blocks):
            self._see(self._beside, block)
            for each in reversed(block.made):
                if each.name and not _stays(each) and (each.name, each.parent) not in before:
                    self._undo(each)
        self._beside.execute(f"SET search_path = {search_path.OURS}".encode())

    def _undo(self, each: CreatedObject) -> None:
        """Without effect where it fails: what is not there, or was renamed; or a schema with
        something else in it.
        """
        statement = each.undo_statement.removesuffix(" CASCADE" if each.kind == "schema" else "")
        try:
            self._beside.execute(statement.encode())
        except psycopg.Error:
            if self._beside.closed:
                raise

    def _see(self, conn: psycopg.Connection[Any], block: Block) -> None:
        conn.execute(f"SET search_path = {block.search_path or self._path}".encode())

    def run(self, blocks: Sequence[Block]) -> list[Trial]:
        """Run blocks, and keep what each statement changes; up to the first that fails."""
        seen = TwinState(self._conn, self._beside, self._missing)
        trials: list[Trial] = []
        for block in blocks:
            if trials and (trials[-1].failure or not trials[-1].tried):
                trials.append(Trial(block.name, len(block.statements), tried=False))
            else:
                trials.append(self._run(block, seen))
        return trials

    def _run(self, block: Block, seen: TwinState) -> Trial:
        self._see(self._conn, block)
        role = sql.Identifier(block.role) if block.role else self._role
        self._conn.execute(sql.SQL("SET ROLE {}").format(role))
        run = _in_transaction if block.transaction else _alone
        steps: list[Step] = []
        failure, sqlstate = None, ""
        try:
            for step in run(self._conn, block, seen, apart=self._apart):
                steps.append(step)
        except _Failed as exc:
            failure, sqlstate, steps = exc.problem, exc.sqlstate, []
        first = len(self.steps) + 1
        self.steps += steps
        numbers = range(first, len(self.steps) + 1)
        size = len(block.statements)
        return Trial(block.name, size, numbers, failure=failure, sqlstate=sqlstate)


def _dropped_first(blocks: Sequence[Block]) -> set[tuple[str, str]]:
    """The objects that statements drop before any of them makes one of that name: each by its name
    and that of its table, if it is part of one.
    """
    seen: set[tuple[str, str]] = set()
    first: set[tuple[str, str]] = set()
    for statement in (statement for block in blocks for statement in block.statements):
        first |= {*dropped_objects(statement.node)} - seen
        seen |= {(each.name, each.parent) for each in created_objects(statement.node)}
    return first


def _stays(each: CreatedObject) -> bool:
    """Whether a statement that makes it may find it there: it replaces it, or leaves it alone. An
    extension may take a superuser to make.
    """
    return each.replaces or each.kind == "extension" or (each.kind == "schema" and each.lenient)


class _Failed(Exception):
    def __init__(self, statement: Statement, exc: psycopg.Error, before: int = 0) -> None:
        """`before`: the characters that were sent before the statement."""
        at = int(exc.diag.statement_position or 0) - 1 - before
        where = statement.place(max(at, 0))
        found = "; ".join(filter(None, [exc.diag.message_primary, exc.diag.message_detail]))
        self.problem = Problem("fails on the twin", where, "the statement runs", found or str(exc))
        self.sqlstate = exc.sqlstate or ""


def _in_transaction(
    conn: psycopg.Connection[Any], block: Block, seen: TwinState, *, apart: bool
) -> Iterator[Step]:
    conn.execute("BEGIN")
    try:
        for index, part in _parts(block, apart=apart):
            for statement in part:
                _execute(conn, statement, seen)
                if _unnamed(statement) and (doubled := seen.doubled(seen.written([]))):
                    conn.execute("ROLLBACK TO pgrunbook_attempt")
                    _drop(conn, doubled, seen)
                    _execute(conn, statement, seen)
            changes = seen.written(_replaced(part))
            seen.take(changes)
            yield _step(block.name, index, part, changes)
        conn.execute("COMMIT")
    finally:
        if not conn.closed and conn.info.transaction_status != TransactionStatus.IDLE:
            conn.execute("ROLLBACK")


def _parts(block: Block, *, apart: bool) -> Iterator[tuple[int, Sequence[Statement]]]:
    """What is looked at after: each statement, or all of them; with the index of the last."""
    if apart:
        yield from ((index, [statement]) for index, statement in enumerate(block.statements))
    elif block.statements:
        yield len(block.statements) - 1, block.statements


def _execute(conn: psycopg.Connection[Any], statement: Statement, seen: TwinState) -> None:
    for _ in range(_IN_THE_WAY):
        try:
            conn.execute(f"{_SAVEPOINT}{statement.sql}".encode())
            return
        except psycopg.Error as exc:
            if conn.closed:
                raise _Failed(statement, exc, len(_SAVEPOINT)) from exc
            conn.execute("ROLLBACK TO pgrunbook_attempt")
            if _work(statement.node) is Work.ROWS and (found := seen.in_the_way(exc)):
                _drop(conn, [found], seen)
                continue
            again = _forgiving(statement.sql, exc, seen.stood_in_for)
            if again is None:
                raise _Failed(statement, exc, len(_SAVEPOINT)) from exc
        try:
            conn.execute(again.encode())
            return
        except psycopg.Error as exc:
            raise _Failed(statement, exc) from exc


_SAVEPOINT = "SAVEPOINT pgrunbook_attempt;\n"
_IN_THE_WAY = 100  # objects that one statement of code makes


def _drop(conn: psycopg.Connection[Any], objects: Sequence[Object], seen: TwinState) -> None:
    """Take away what was left on the twin as no statement says that it makes it."""
    for each in objects:
        conn.execute(dropping(each).encode())
        seen.forget(each)
    conn.execute("RELEASE pgrunbook_attempt; SAVEPOINT pgrunbook_attempt")


def _alone(
    conn: psycopg.Connection[Any], block: Block, seen: TwinState, *, apart: bool
) -> Iterator[Step]:
    """Each statement by itself, as PostgreSQL refuses them in a transaction."""
    for index, part in _parts(block, apart=apart):
        for statement in part:
            try:
                conn.execute(statement.sql.encode())
            except psycopg.Error as exc:
                raise _Failed(statement, exc) from exc
        changes = seen.anywhere()
        seen.take(changes)
        yield _step(block.name, index, part, changes)


def _unnamed(statement: Statement) -> bool:
    """Whether it leaves a name to PostgreSQL, which takes another one where that is taken."""
    return any(not each.name for each in created_objects(statement.node))


def _step(
    block: str, index: int, part: Sequence[Statement], changes: Mapping[Object, Change]
) -> Step:
    objects = created_objects(*(statement.node for statement in part))
    lenient = {each.name for each in objects if each.lenient and each.kind == "table column"}
    return Step(
        block,
        index,
        changes,
        _work_of(part),
        frozenset(each for each in changes if _is_column(each, lenient)),
        frozenset(each for each in changes if is_one_of(each, _replaced(part))),
    )


def _work_of(part: Sequence[Statement]) -> Work:
    works = {_work(statement.node) for statement in part}
    if Work.ROWS in works:
        return Work.ROWS
    return Work.UPKEEP if works == {Work.UPKEEP} else Work.NONE


def _replaced(part: Sequence[Statement]) -> list[CreatedObject]:
    objects = created_objects(*(statement.node for statement in part))
    return [each for each in objects if each.replaces]


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


def _forgiving(statement: str, exc: psycopg.Error, stood_in_for: Collection[str]) -> str | None:
    """What to run in place of a statement that fails as it has been done before the twin was made,
    and cannot be undone there: it drops what is gone, or adds what others need. None: there is
    nothing to forgive.
    """
    node = parse_sql(statement)[0].stmt
    match node:
        case ast.CreateExtensionStmt(extname=name) if name in stood_in_for:
            return ""
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
