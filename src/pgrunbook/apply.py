"""A block onto a target: one transaction with its ledger row, under timeouts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
import psycopg

from pgrunbook import ledger
from pgrunbook.blocks import Block
from pgrunbook.catalog import Connection
from pgrunbook.connection import problem_of
from pgrunbook.decisions import Action, Decision
from pgrunbook.errors import Failed, Problem
from pgrunbook.scripts import Statement
from pgrunbook.shape import Facts

# What the catalog says of a block's objects, seen from inside the block's own transaction.
Observe = Callable[[Connection, Block], Facts]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with a block: `event` is applied, adopted or skipped; times in milliseconds."""

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
    """PostgreSQL's `lock_timeout` and `statement_timeout`, as it writes durations."""

    lock_timeout: str
    statement_timeout: str

    def of(self, block: Block) -> Timeouts:
        """A block's own, where its header gives them."""
        return Timeouts(**{name: block.timeouts.get(name, getattr(self, name)) for name in self.__slots__})


def apply(conn: Connection, decision: Decision, run_id: str, timeouts: Timeouts, observe: Observe) -> Outcome:
    """Run what the decision says and record it, in one transaction: all of it is there afterwards, or nothing.

    Before the commit the catalog is compared with the shape that the block makes. Raises Failed, with
    everything rolled back, if a statement fails or if the shape is another one.
    """
    block = decision.block
    clock = _Clock()
    started_at = datetime.now(UTC)
    try:
        with conn.transaction():
            _set_timeouts(conn, timeouts.of(block))
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
    except psycopg.Error as exc:
        raise Failed(_ROLLED_BACK, problems=[problem_of(exc, where=block.name)]) from exc
    return Outcome(block.name, event, tuple(clock.laps), started_at, clock.total_ms)


_ROLLED_BACK = "The block failed and was rolled back: nothing of it is there."


def _set_timeouts(conn: Connection, timeouts: Timeouts) -> None:
    conn.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
        [timeouts.lock_timeout, timeouts.statement_timeout],
    )


def _execute(conn: Connection, block: Block, statement: Statement) -> None:
    try:
        conn.execute(statement.sql.encode())
    except psycopg.errors.LockNotAvailable as exc:
        remedy = "another session uses the table; run again when it has ended, or with a longer lock_timeout"
        raise Failed(_ROLLED_BACK, problems=[_located(exc, block, statement, remedy)]) from exc
    except psycopg.Error as exc:
        raise Failed(_ROLLED_BACK, problems=[_located(exc, block, statement)]) from exc


def _located(exc: psycopg.Error, block: Block, statement: Statement, remedy: str = "") -> Problem:
    """The server's error with the statement, and a caret where the server gives a position."""
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


def frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row a block: index `block`; columns `event` (str), `statements` (int), `ms` (float)."""
    data = {
        "block": [o.block for o in outcomes],
        "event": [o.event for o in outcomes],
        "statements": [max(len(o.statements) - 1, 0) for o in outcomes],
        "ms": [round(o.elapsed_ms, 1) for o in outcomes],
    }
    return pd.DataFrame(data).set_index("block")
