"""Applies a block outside a transaction: statement by statement, each recorded before and after,
and the result judged by the catalog.

CREATE INDEX CONCURRENTLY and its like take locks that let reads and writes pass, and then wait for
older transactions, for as long as these last. A short lock_timeout would only break them off, and
leave an invalid index behind: so `lock_budget` takes its place.
https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

import psycopg
from pglast import ast
from pglast.enums import ObjectType

from pgrunbook.applying import effects, lock_waits, postconditions
from pgrunbook.applying.effects import Effect
from pgrunbook.applying.lock_waits import Report
from pgrunbook.applying.outcome import Clock, Outcome
from pgrunbook.applying.progress import LOOK_S, StatementProgress, StatementWatch
from pgrunbook.applying.remedies import advice
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed, Problem, Refused, RunbookError
from pgrunbook.ledger import write
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.ground import Ground
from pgrunbook.planning.remains import detached_partition, find_half_done, is_detaching
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import catalog, locks, search_path, session_settings
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.lockers import Locked
from pgrunbook.postgres.locks import Lock, Trace
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks import scripts
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement


def apply(
    sessions: Sessions,
    decision: Decision,
    run_id: str,
    timeouts: Timeouts,
    *,
    ground: Ground,
    report: Report,
    progress: Callable[[StatementProgress], None],
) -> Outcome:
    """Run what the decision says. The ledger gets a row `started`, then one before and one after
    each statement, then `applied`; or `reverting` and `reverted`.

    - `ground` are the objects as they were before.
    - `report` is called with each attempt at a lock, `progress` with how far a statement has come.

    Raises Failed if a statement fails, or if the result is not what was wanted. What is done then
    stays, and is named: the next run goes on from there.
    """
    sessions.require_lock()
    _require_alone(sessions, decision)
    steps = _Steps(
        sessions,
        decision,
        run_id,
        timeouts.of(decision.block),
        report,
        StatementWatch(sessions, decision.block.name, progress),
        _now(sessions.work),
    )
    block = decision.block
    reverting = decision.action is Action.REVERT
    try:
        steps.record("reverting" if reverting else "started")
        steps.run()
        # what was there of the block as it is to be, before this run came to it
        wanted = {} if reverting else decision.wanted
        before = {*decision.kept, *decision.expected}
        known = wanted, before, decision.expected
        effect = effects.compare(sessions.look, ground, block, *known)
        problems = [*_invalid_indexes(block, effect), *postconditions.of_objects(decision, effect)]
        if problems:
            raise Failed(_half_done(decision), problems=problems)
        steps.record(decision.event, effect=effect.rows, later=1)
    except psycopg.Error as exc:
        raise Failed(_half_done(decision), problems=[steps.problem(exc)]) from exc
    clock = steps.clock
    clock.lap()
    return Outcome(
        block.name,
        decision.event,
        tuple(clock.laps),
        steps.started_at,
        clock.total_ms,
        tuple(steps.locks),
        effect=effect,
    )


def _invalid_indexes(block: Block, effect: Effect) -> Iterator[Problem]:
    """Yield a problem for each index that is not valid though the block is done."""
    for each in effect.differences:
        if each.after and each.after.properties.get("invalid"):
            yield Problem(f"{each.object} is not valid", block.name, "valid", "invalid")


def _require_alone(sessions: Sessions, decision: Decision) -> None:
    """Raise Refused if somebody else may be building right now what is half done there: the repairs
    would drop it.
    """
    if not decision.repairs:
        return
    # An index that is being built is invalid, as one is that was broken off. But whoever builds it
    # holds this lock on its table.
    mode = "SHARE UPDATE EXCLUSIVE"
    block, look = decision.block, sessions.look
    schemas = {*_path(look, block), *(schema for schema, _ in block.relations if schema)}
    found = [locks.holders(look, schema, mode, block.names) for schema in sorted(schemas)]
    if any(found):
        raise Refused.of(
            "what is half done there may be somebody else's work, still going on",
            where=block.name,
            expected="no SHARE UPDATE EXCLUSIVE lock on its tables, as CREATE INDEX CONCURRENTLY "
            "has one",
            found="\n".join(filter(None, found)),
            remedy="wait until these sessions have done, then run again",
        )


def _now(conn: Session) -> datetime:
    """The server's time."""
    row = conn.execute("SELECT clock_timestamp()").fetchone()
    return cast(datetime, row and row[0])


def _half_done(decision: Decision) -> str:
    if decision.action is Action.REVERT:
        return (
            "The revert failed. It is outside a transaction: what was undone is gone, the rest "
            "is there."
        )
    return "The block failed. It is outside a transaction: what was done of it is there."


def _statement_timeout(block: Block) -> str:
    return block.timeouts.get("statement_timeout", "0")  # a big index takes as long as it takes


@contextmanager
def limits(conn: Session, lock_timeout: str, statement_timeout: str) -> Iterator[None]:
    """Set the session's timeouts as long as the `with` block lasts."""
    settings = ("lock_timeout", "statement_timeout")
    read = "SELECT current_setting(%s), current_setting(%s)"
    before = conn.execute(read, settings).fetchone() or ()
    change = (
        "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)"
    )
    conn.execute(change, [lock_timeout, statement_timeout])
    # Without a limit we wait for as long as it takes; if the server is silent, the session that
    # watches finds out.
    allowed_s = None
    if statement_timeout != "0":
        allowed_s = milliseconds(statement_timeout) / 1000
    try:
        with conn.allowing(allowed_s):
            yield
    finally:
        with suppress(psycopg.Error):  # a lost session has no settings
            conn.execute(change, before)


@dataclass(slots=True)
class _Steps:
    """Sends the statements of one block. `at` is the text of the last one, `locks` are those that
    the statements have had.
    """

    sessions: Sessions
    decision: Decision
    run_id: str
    timeouts: Timeouts
    report: Report
    watch: StatementWatch
    started_at: datetime
    clock: Clock = field(default_factory=Clock)
    locks: list[Lock] = field(default_factory=list)
    at: str = ""

    @property
    def block(self) -> str:
        return self.decision.block.name

    def record(
        self,
        event: str,
        effect: Sequence[Sequence[object]] | None = None,
        later: int = 0,
    ) -> None:
        """Write a row of the block into the ledger, with the locks so far. `later` is added to the
        number of the row: the block has more than one.
        """
        decision = self.decision
        row = write.about(
            decision.block, reason=decision.reason, sql=decision.sql, kept=decision.kept
        )
        write.write_block(
            self.sessions.work,
            self.run_id,
            row,
            event=event,
            effect=effect,
            locks=self.locks,
            started_at=self.started_at,
            revision=decision.revision + later,
        )

    def run(self) -> None:
        """Send the repairs and the statements, each with a row before and after."""
        steps: list[Statement] = []
        for sql in self.decision.repairs:
            steps += scripts.statements(sql)
        steps += self.decision.pending_statements
        conn = self.sessions.work
        for number, statement in enumerate(steps, 1):
            self.at = statement.sql
            write.note_statement(conn, self.run_id, self.block, number, statement.sql)
            elapsed_ms = self._send(conn, number, statement)
            write.note_statement(conn, self.run_id, self.block, number, statement.sql, elapsed_ms)

    def _send(self, conn: Session, number: int, statement: Statement) -> float:
        trace = Trace()
        block = self.decision.block
        schemas, relations = _path(conn, block), [*_relations(statement.node)]
        there = catalog.rows(conn, "concerned", schemas=schemas, relations=relations)
        wait = block.timeouts.get("lock_timeout", self.timeouts.lock_budget)
        with limits(conn, wait, _statement_timeout(block)):
            sent = time.perf_counter()
            trace.note(number, sent, there)  # a short statement is done before the first look
            self.clock.lap()
            with conn.watched(LOOK_S, lambda: self.watch.look(trace, number, sent)):
                partition = detached_partition(statement.node)
                if partition:
                    self._detach(conn, statement.sql, partition)
                else:
                    with session_settings.as_block(conn, block.search_path, block.role):
                        conn.execute(statement.sql.encode())
            self.clock.lap(statement.sql)
        files = catalog.rows(conn, "filenodes", oids=trace.oids)
        self.locks += trace.locks({row["oid"]: row["filenode"] for row in files})
        return (time.perf_counter() - sent) * 1000

    def _detach(self, conn: Session, sql: str, partition: str) -> None:
        """Detach a partition in short attempts: at its end DETACH … CONCURRENTLY takes an ACCESS
        EXCLUSIVE lock on the partition, and others would queue behind us.
        """
        block = self.decision.block

        def attempt() -> None:
            statement = sql
            # What an earlier attempt has left half done cannot be begun again, only finished:
            # https://www.postgresql.org/docs/current/sql-altertable.html
            if is_detaching(conn, block, partition):
                statement = re.sub("(?i)concurrently", "FINALIZE", sql)
            with session_settings.as_block(conn, block.search_path, block.role):
                conn.execute(statement.encode())

        with limits(conn, self.timeouts.lock_timeout, _statement_timeout(block)):
            lock_waits.retry(
                attempt,
                block=self.block,
                budget=self.timeouts.lock_budget,
                watch=lambda: lock_waits.watch_blockers(
                    conn, self.sessions.look, self.timeouts.lock_timeout
                ),
                report=self._note,
            )

    def _note(self, attempt: Attempt) -> None:
        self.report(attempt)
        self.watch.blockers = attempt.blockers or self.watch.blockers
        write.note_attempt(self.sessions.work, self.run_id, attempt)

    def problem(self, exc: psycopg.Error) -> Problem:
        """Return the problem: which statement failed, who was in its way if it was a lock, and what
        is half done.
        """
        found = [self.at]
        if isinstance(exc, lock_waits.WITHOUT_LOCKS) and not isinstance(exc, Locked):
            found += map(str, self.watch.blockers)
        with suppress(psycopg.Error, RunbookError):
            left = find_half_done(self.sessions.work, self.decision.block)
            found += [f"left half done: {each}" for each in left]
        remedy = (
            f"{self._advice(exc)}: the next run finds in the catalog how far it came, and "
            "goes on from there"
        )
        problem = problem_of(exc, where=self.block, remedy=remedy)
        return replace(problem, found="\n".join(filter(None, [problem.found, *found])))

    def _advice(self, exc: psycopg.Error) -> str:
        block = self.decision.block
        cancelled = isinstance(exc, psycopg.errors.QueryCanceled)
        if cancelled and "statement_timeout" not in block.timeouts:
            return "run again"  # it had no time limit: somebody cancelled it
        return advice(exc, block, otherwise="run again")


def _path(conn: Session, block: Block) -> list[str]:
    """Return the schemas where a name in the block is looked up, in order."""
    return search_path.schemas(conn, block.search_path or search_path.of(conn))


def _relations(node: ast.Node) -> Iterator[str]:
    """Yield the names of the relations that a statement locks in mode SHARE UPDATE EXCLUSIVE; of
    every kind of statement that a block outside a transaction may hold.
    """
    match node:
        case ast.AlterTableStmt(cmds=[command]):
            yield node.relation.relname
            yield command.def_.name.relname
        case ast.IndexStmt() | ast.ReindexStmt():
            yield node.relation.relname
        case ast.VacuumStmt():
            for vacuumed in node.rels:
                yield vacuumed.relation.relname
        case ast.DropStmt():
            for *_, name in node.objects:
                yield name.sval
        case ast.CommentStmt(objtype=ObjectType.OBJECT_TABLE, object=(*_, name)):
            yield name.sval
        case ast.CommentStmt(objtype=ObjectType.OBJECT_COLUMN, object=(*_, name, _)):
            yield name.sval
