"""A block onto a target: one transaction with its ledger row, under timeouts, tried until it gets its locks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd
import psycopg

from pgrunbook import catalog, ledger, waiting
from pgrunbook.blocks import Block
from pgrunbook.catalog import Connection
from pgrunbook.connection import Sessions, problem_of
from pgrunbook.decisions import Action, Decision
from pgrunbook.errors import Failed, Problem, RunbookError
from pgrunbook.scripts import Statement
from pgrunbook.shape import Facts
from pgrunbook.waiting import Attempt, Report, Watch

# What the catalog says of a block's objects, seen from inside the block's own transaction.
Observe = Callable[[Connection, Block], Facts]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with a block: `event` is applied or adopted; times in milliseconds."""

    block: str
    event: str
    statements: tuple[tuple[str, float], ...]
    started_at: datetime
    elapsed_ms: float

    def frame(self) -> pd.DataFrame:
        """One row a statement, the commit last: columns `statement` (str), `ms` (float)."""
        return pd.DataFrame(self.statements, columns=["statement", "ms"]).round({"ms": 1})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`lock_timeout`, `statement_timeout`, and for how long to try for locks, as PostgreSQL writes durations."""

    lock_timeout: str
    statement_timeout: str
    lock_budget: str

    def of(self, block: Block) -> Timeouts:
        """A block's own, where its header gives them."""
        return replace(self, **block.timeouts)


def apply(
    sessions: Sessions,
    decision: Decision,
    run_id: str,
    timeouts: Timeouts,
    *,
    decide: Callable[[], Decision],
    observe: Observe,
    report: Report,
) -> Outcome:
    """Run what the decision says and record it, in one transaction: all of it is there afterwards, or nothing.

    It is tried again, and each attempt reported, as long as others hold its locks and `decide` still comes to the same
    SQL. Raises Failed, with everything rolled back, if a statement fails, if the shape is not what the SQL says, or if
    the lock budget is used up; and if the connection is lost and nobody can be asked what was committed.
    """
    block, timeouts = decision.block, timeouts.of(decision.block)
    attempts: list[Attempt] = []

    def note(attempt: Attempt) -> None:
        attempts.append(attempt)
        report(attempt)

    def attempt() -> Outcome:
        if attempts and decide().sql != decision.sql:
            remedy = "run the cell again: it shows what is to be done now"
            raise Failed.of("the target has changed while the block waited", where=block.name, remedy=remedy)
        return _once(sessions.work, decision, run_id, timeouts, observe)

    try:
        return waiting.retry(
            attempt,
            block=block.name,
            budget=timeouts.lock_budget,
            watch=lambda: Watch(sessions.look, sessions.work.info.backend_pid, timeouts.lock_timeout),
            report=note,
        )
    except psycopg.errors.LockNotAvailable as exc:
        raise Failed(_ROLLED_BACK, problems=[_blocked(block, timeouts, attempts)]) from exc
    except psycopg.OperationalError as exc:
        return _settled(sessions, decision, run_id, exc)
    except psycopg.Error as exc:
        raise Failed(_ROLLED_BACK, problems=[problem_of(exc, where=block.name)]) from exc


def _settled(sessions: Sessions, decision: Decision, run_id: str, exc: psycopg.OperationalError) -> Outcome:
    """What became of a block whose connection was lost: the ledger knows, once the lost session has ended."""
    block = decision.block
    try:
        pid = sessions.lost_pid()
        deadline = time.monotonic() + _SETTLING_S
        while catalog.rows(sessions.work, "backend", pid=pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        row = ledger.row(sessions.work, run_id, block.name)
    except (psycopg.Error, RunbookError) as unreachable:
        problem = Problem(
            f"the connection was lost, and the ledger cannot be asked: {str(unreachable).splitlines()[0]}",
            where=block.name,
            remedy="run again: the next run finds in the ledger whether the block was committed",
        )
        raise Failed("It is not known whether the block was committed.", problems=[problem]) from exc
    if row is None:
        raise Failed(_ROLLED_BACK, problems=[problem_of(exc, where=block.name)]) from exc
    event, started_at, finished_at = row
    elapsed_ms = (finished_at - started_at).total_seconds() * 1000
    lost = ("the connection was lost; the ledger has the block", elapsed_ms)
    return Outcome(block.name, event, (lost,), started_at, elapsed_ms)


def _once(conn: Connection, decision: Decision, run_id: str, timeouts: Timeouts, observe: Observe) -> Outcome:
    """One attempt. Before the commit, the catalog is compared with the shape that the block makes."""
    block = decision.block
    clock = _Clock()
    started_at = datetime.now(UTC)
    with conn.transaction():
        _set_timeouts(conn, timeouts)
        for statement in (block.statements[n] for n in decision.statements):
            _execute(conn, block, statement)
            clock.lap(_label(statement))
        found = observe(conn, block)
        _check(decision, found)
        event = "adopted" if decision.action is Action.ADOPT else "applied"
        ledger.record(
            conn,
            run_id,
            block,
            event=event,
            reason=decision.reason,
            sql=decision.sql,
            facts={key: found[key] for key in block.facts if key in found},
            started_at=started_at,
        )
    clock.lap("COMMIT, with the ledger's row")
    return Outcome(block.name, event, tuple(clock.laps), started_at, clock.total_ms)


def _blocked(block: Block, timeouts: Timeouts, attempts: Sequence[Attempt]) -> Problem:
    """Who was in the way at the end, when the budget is used up."""
    seen = [blocker for attempt in attempts[-1:] for blocker in attempt.blockers]
    return Problem(
        f"its locks could not be had in {len(attempts)} attempts of {timeouts.lock_timeout} each",
        where=block.name,
        expected=f"all of them at once, within the lock_budget of {timeouts.lock_budget}",
        found="\n".join(map(str, seen)) or "no blocker was seen",
        remedy="wait until these sessions have ended their transactions, or end them; then run again",
    )


# If our side stops in the middle of a block (a laptop that sleeps), the server gives its locks back after this.
_IDLE = "3s"

# How long a lost session may take to end: it may be in the middle of its commit.
_SETTLING_S = 10.0

_ROLLED_BACK = "The block failed and was rolled back: nothing of it is there."


def _set_timeouts(conn: Connection, timeouts: Timeouts) -> None:
    conn.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
        " set_config('idle_in_transaction_session_timeout', %s, true)",
        [timeouts.lock_timeout, timeouts.statement_timeout, _IDLE],
    )


def _execute(conn: Connection, block: Block, statement: Statement) -> None:
    try:
        conn.execute(statement.sql.encode())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        raise  # to be tried again
    except psycopg.Error as exc:
        raise Failed(_ROLLED_BACK, problems=[_located(exc, block, statement)]) from exc


def _located(exc: psycopg.Error, block: Block, statement: Statement) -> Problem:
    """The server's error with the statement, and a caret where the server gives a position."""
    remedy = "raise the parameter statement_timeout" if isinstance(exc, psycopg.errors.QueryCanceled) else ""
    problem = problem_of(exc, where=f"{block.name}, line {statement.line}", remedy=remedy)
    lines = [problem.found] if problem.found else []
    if position := exc.diag.statement_position:
        index = int(position) - 1
        start = statement.sql.rfind("\n", 0, index) + 1
        lines += [statement.sql[start:].split("\n", 1)[0], " " * (index - start) + "^"]
    else:
        lines.append(statement.sql.splitlines()[0])
    return Problem(problem.what, where=problem.where, found="\n".join(lines), remedy=problem.remedy)


def _check(decision: Decision, found: Facts) -> None:
    """The catalog must now hold what the statements that ran make; what was adopted, what it makes loosely."""
    ran = [decision.block.mades[n] for n in decision.statements]
    made = {key: value for m in ran for key, value in m.facts.items()}
    problems = [
        Problem(f"{key} did not come out as its SQL says", where=decision.block.name, expected=value, found=there)
        for key, value in made.items()
        if (there := found.get(key, "absent")) != value
    ]
    if problems:
        raise Failed(_ROLLED_BACK, problems=problems)


def _label(statement: Statement) -> str:
    """The statement's first line; comments all alike, so that they count as one."""
    first = statement.sql.splitlines()[0]
    return "COMMENT ON …" if first.startswith("COMMENT ON") else first


class _Clock:
    """Laps in milliseconds; laps of one name that follow each other are one."""

    def __init__(self) -> None:
        self.laps: list[tuple[str, float]] = []
        self._start = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        elapsed = (now - self._last) * 1000
        if self.laps and self.laps[-1][0] == name:
            elapsed += self.laps.pop()[1]
        self.laps.append((name, elapsed))
        self._last = now

    @property
    def total_ms(self) -> float:
        return (self._last - self._start) * 1000
