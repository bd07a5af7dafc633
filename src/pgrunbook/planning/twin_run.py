"""Runs the pending blocks one after the other on a twin, once what they make was dropped there, and
keeps what each statement changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache, partial
from itertools import takewhile

import psycopg
from pglast import ast
from psycopg import sql
from psycopg.pq import TransactionStatus

from pgrunbook.inventory.objects import Inventory, Object
from pgrunbook.inventory.read import read
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.existing_objects import called_as, path_to
from pgrunbook.planning.timeline import Change, TwinStep
from pgrunbook.planning.twin_execution import run_alone, run_statement
from pgrunbook.planning.twin_failure import TwinFailure
from pgrunbook.planning.twin_state import TwinState
from pgrunbook.planning.twin_statements import as_role, replaced_objects, work_of
from pgrunbook.planning.votes import Trial
from pgrunbook.postgres import search_path
from pgrunbook.postgres.query_plans import QueryPlans
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext import search_paths
from pgrunbook.sqltext.created_objects import RELATIONS, CreatedObject
from pgrunbook.sqltext.mentions import locks_what_it_changes
from pgrunbook.sqltext.things import dropped_objects, kind_of, name_of

_STOOD_IN = "pgrunbook.stood_in"  # set by what stands in for a function: extension_members.sql


def try_pending(
    twin: Twin, path: str, pending: Sequence[Decision]
) -> tuple[Sequence[TwinFailure], Sequence[TwinStep]]:
    """Run what is pending on the twin. Returns what fails there, each statement left out for those
    behind it; and what each block before the first failure changes.

    `path` is the search path of blocks that have none of their own.
    """
    blocks = []
    for each in pending:
        blocks.append(replace(each.block, statements=tuple(each.pending_statements)))
    with closing(TwinRun(twin, path, apart=False, leave_out=True)) as twin_run:
        twin_run.run(blocks)
    failed = {each.block for each in twin_run.failures}
    return twin_run.failures, [*takewhile(lambda step: step.block not in failed, twin_run.steps)]


class TwinRun:
    """Runs blocks on a twin.

    - `steps` has what each statement, or each block, has changed so far.
    - `failures` has the statements that have failed.
    - `stood_in` has, by block, the function that it called and that only stands in for one of an
      extension: see `TwinLimits`.
    """

    def __init__(
        self, twin: Twin, path: str, *, apart: bool = True, leave_out: bool = False
    ) -> None:
        """Open the sessions on the twin.

        - `path` is the search path of blocks that have none of their own.
        - `apart`: read the changes after each statement, which is slower, and needed only if a
          block is there in part.
        - `leave_out`: a statement that fails is left out, not its block and those behind it.
        """
        self._apart = apart
        self._leave_out = leave_out
        self.steps: list[TwinStep] = []
        self.failures: list[TwinFailure] = []
        self.stood_in: dict[str, str] = {}
        self._path = path
        self._missing, self._as_is = twin.missing, twin.as_is
        self._cleared = False
        self._role = twin.role
        self._plans = QueryPlans()
        with ExitStack() as stack:
            self._conn = stack.enter_context(twin.session())
            self._beside = stack.enter_context(twin.owner_session())
            self._stack = stack.pop_all()  # or the first is closed if the second cannot be opened

    def close(self) -> None:
        """End the sessions."""
        self._stack.close()

    def inventory(self) -> Inventory:
        """Return all objects as they are now."""
        return read(self._conn)

    def clear_away(
        self, blocks: Sequence[Block], was_there: Callable[[CreatedObject], bool]
    ) -> None:
        """Drop what the blocks make, the last first, with what depends on it; but for the objects
        of which `was_there` says that they were there before the blocks.
        """
        # An object that the blocks drop before they make it was there before them: it stays. So
        # does one that they rename, unless the target has it by its new name already: then the
        # rename is undone.
        self._cleared = True
        dropped_first, renamed_first = _gone_first(blocks)
        with_rename: dict[tuple[str, str], list[str]] = defaultdict(list)
        schemas_of = cache(partial(search_path.schemas, self._beside))  # one round trip a path
        for block in reversed(blocks):
            for path, each in reversed(block.made_along(self._path)):
                name = name_of(each)
                stays = name in dropped_first and not _is_another(each, dropped_first[name])
                if not each.name or _may_exist(each) or was_there(each) or stays:
                    continue
                path = search_paths.of_role(path, block.role or self._role)
                where = search_path.set_local(path_to(schemas_of, path, each))
                undo = f"{where}; {_undo_statement(each)}"
                if name in renamed_first:
                    with_rename[name].append(undo)
                else:
                    self._drop_if_there([*with_rename.pop((each.was, each.parent), ()), undo])

    def _drop_if_there(self, statements: Sequence[str]) -> None:
        """Run all of the statements, or none."""
        try:
            self._beside.execute("; ".join(statements).encode())
        except psycopg.Error:
            # It does not exist, or was renamed, or is a schema that is not empty: it stays.
            if self._beside.closed:
                raise

    def run(self, blocks: Sequence[Block], by_hand: Collection[str] = ()) -> list[Trial]:
        """Run the blocks up to the first that fails. Returns a trial for each block, in order;
        those behind the failed one were not tried.

        Those done `by_hand` may fail: they are run for what they do to what other blocks make.
        """
        state = TwinState(
            self._conn, self._beside, self._missing, cleared=self._cleared, as_is=self._as_is
        )
        for block in blocks:
            state.later.update(replace(each, replaces=True) for each in block.made)
            state.named.update(each.name for each in block.made)
            state.named.update(name for _, name in block.relations)
        trials: list[Trial] = []
        failed = False
        for block in blocks:
            trial = Trial(block.name, len(block.statements), tried=False)
            state.may_find = block.name in by_hand
            if not failed:
                trial = self._run(block, state)
            if block.name in by_hand:
                trial = replace(trial, by_hand=True, failure=None)
            failed = failed or trial.failure is not None
            trials.append(trial)
        return trials

    def _run(self, block: Block, state: TwinState) -> Trial:
        path = block.search_path or self._path
        self._conn.execute(f"SET search_path = {path}; SET {_STOOD_IN} = ''".encode())
        block = replace(block, statements=tuple(as_role(s, self._role) for s in block.statements))
        run = self._in_transaction if block.transaction else self._alone
        size = len(block.statements)
        state.catalog_written = ""
        try:
            self._set_role(block)
            steps = [*run(block, state)]
            ((self.stood_in[block.name],),) = self._conn.execute(f"SHOW {_STOOD_IN}".encode())
        except TwinFailure as exc:  # it has changed nothing: its transaction was rolled back
            self._note_failure(exc, block, state)
            return Trial(block.name, size, failure=exc.problem)
        first = len(self.steps) + 1
        self.steps += steps
        self._plans.note_made(sum(len(step.changes) for step in steps), self._conn, self._beside)
        numbers = range(first, len(self.steps) + 1)
        return Trial(block.name, size, numbers, catalog_written=state.catalog_written)

    def _set_role(self, block: Block) -> None:
        try:
            role = sql.Identifier(block.role or self._role)
            self._conn.execute(sql.SQL("SET ROLE {}").format(role))
        except psycopg.Error as exc:  # a block before makes it, and roles are not made on a twin
            raise TwinFailure(block.statements[0], exc) from exc

    def _note_failure(self, exc: TwinFailure, block: Block, state: TwinState) -> None:
        exc.block = block.name
        exc.in_doubt = exc.in_code or state.code_was_run
        self.failures.append(exc)

    def _in_transaction(self, block: Block, state: TwinState) -> Iterator[TwinStep]:
        conn = self._conn
        near = not state.has_event_triggers
        state.written.begin()
        try:
            for index, part in self._parts(block):
                for statement in part:
                    near = near and locks_what_it_changes(statement.node)
                    self._run_statement(statement, block, state)
                changes = state.transaction_changes(replaced_objects(part), near=near)
                state.take(changes)
                yield _step(block.name, index, part, changes, state.in_unnamed_partitions(changes))
                if self._apart:
                    state.written.begin_statement()
            try:
                conn.execute("COMMIT")
            except psycopg.Error as exc:  # what is deferred: it may be for want of rows
                raise TwinFailure(block.statements[-1], exc) from exc
        finally:
            if not conn.closed and conn.info.transaction_status != TransactionStatus.IDLE:
                conn.execute("ROLLBACK")

    def _alone(self, block: Block, state: TwinState) -> Iterator[TwinStep]:
        """Run each statement by itself, as PostgreSQL refuses them in a transaction."""
        for index, part in self._parts(block):
            for statement in part:
                self._run_statement(statement, block, state)
            changes = state.all_changes()
            state.take(changes)
            yield _step(block.name, index, part, changes, state.in_unnamed_partitions(changes))

    def _run_statement(self, statement: Statement, block: Block, state: TwinState) -> None:
        """Run a statement. If it fails, that is noted, or it raises TwinFailure: see `__init__`."""
        run = run_statement if block.transaction else run_alone
        try:
            run(self._conn, statement, state)
        except TwinFailure as exc:
            if not self._leave_out or self._conn.closed:
                raise
            self._note_failure(exc, block, state)
        else:
            state.note_run(statement)

    def _parts(self, block: Block) -> Iterator[tuple[int, Sequence[Statement]]]:
        """Yield the statements after which changes are read, one by one or together, each part with
        the index of its last statement.
        """
        if self._apart:
            for index, statement in enumerate(block.statements):
                yield index, [statement]
        elif block.statements:
            yield len(block.statements) - 1, block.statements


_Name = tuple[str, str]  # an object's name, and that of its table, empty if it has none


def _gone_first(blocks: Sequence[Block]) -> tuple[dict[_Name, str], set[_Name]]:
    """Return the objects that the blocks find and not make: those that they drop, each with its
    kind as DROP writes it, and those that they rename, before one of them makes an object of that
    name. What IF NOT EXISTS may have found counts as dropped if it is dropped later.
    """
    made: set[_Name] = set()
    leniently: set[_Name] = set()
    found: set[_Name] = set()
    dropped: dict[_Name, str] = {}
    renamed: set[_Name] = set()
    for block in blocks:
        for statement in block.statements:
            kind = ""
            if isinstance(statement.node, ast.DropStmt):
                kind = kind_of(statement.node.removeType)
            names = {*dropped_objects(statement.node)}
            dropped |= dict.fromkeys(names - made, kind)
            found |= names & leniently
            for each in statement.made:
                name, was = name_of(each), (each.was, each.parent)
                if each.was and was not in made:
                    renamed.add(was)
                if each.lenient and name not in made:
                    leniently.add(name)
                made.add(name)
                found.discard(name)
    return dropped | dict.fromkeys(found, ""), renamed


def _is_another(each: CreatedObject, dropped: str) -> bool:
    """Whether a relation replaces a dropped one of another kind, as a table does a view. DROP names
    the kind, and so cannot drop the wrong one.
    """
    return each.kind in RELATIONS and dropped in RELATIONS and each.kind != dropped


def _undo_statement(each: CreatedObject) -> str:
    # A schema may hold what no block makes: it is dropped only if it is empty.
    return each.undo_statement.removesuffix(" CASCADE" if each.kind == "schema" else "")


def _may_exist(each: CreatedObject) -> bool:
    """Whether a statement that makes the object may find it there."""
    # An extension may take a superuser to make: it is not dropped.
    return each.replaces or each.kind == "extension" or (each.kind == "schema" and each.lenient)


def _step(
    block: str,
    index: int,
    part: Sequence[Statement],
    changes: Mapping[Object, Change],
    in_unnamed_partitions: frozenset[Object],
) -> TwinStep:
    objects = [each for statement in part for each in statement.made]
    lenient = [each for each in objects if each.lenient and each.kind == "table column"]
    replaced = [each for each in objects if each.replaces]
    return TwinStep(
        block,
        index,
        changes,
        work_of(part),
        called_as(lenient, changes),
        called_as(replaced, changes),
        in_unnamed_partitions,
    )
