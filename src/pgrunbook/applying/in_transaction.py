"""A block onto a target: one transaction with its ledger row, under timeouts, tried until it gets
its locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from pgrunbook.admit.columns import Questions
from pgrunbook.applying import effects, lock_waits, postconditions, standbys
from pgrunbook.applying.lock_waits import Report
from pgrunbook.applying.one_message import Message
from pgrunbook.applying.outcome import Clock, Outcome
from pgrunbook.applying.remedies import advice
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed, Problem, RunbookError, first_line
from pgrunbook.inventory import changes
from pgrunbook.ledger import ledger, write
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.ground import Ground
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import catalog, durability
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.lockers import Locked
from pgrunbook.postgres.pressure import FLUSH
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement

# What to ask about a column that is to accept a value, inside the block's own transaction: in the
# message that has its statements, too.
Ask = Callable[[Block, Session], Questions]


def apply(
    sessions: Sessions,
    decision: Decision,
    run_id: str,
    timeouts: Timeouts,
    *,
    ground: Ground,
    decide: Callable[[], Decision],
    ask: Ask,
    report: Report,
) -> Outcome:
    """Run what the decision says and record it, in one transaction: all of it is there afterwards,
    or nothing. What it changes is compared with the `ground`, and recorded with it.

    It is tried again, and each attempt reported, as long as others hold its locks and `decide`
    still comes to the same SQL. Raises Failed, with everything rolled back, if a statement fails,
    if what comes of it is not what was wanted, or if the lock budget is used up; and if the
    connection is lost and nobody can be asked what was committed.
    """
    block, timeouts = decision.block, timeouts.of(decision.block)
    attempts = _Attempts(sessions, decision, run_id, report)
    transaction = _Transaction(sessions, decision, run_id, timeouts, ground, ask)
    wait_ms = milliseconds(timeouts.wait)

    def attempt() -> Outcome:
        if attempts.noted:
            _require_same(decision, decide())
            sessions.work.execute(FLUSH)  # what was rolled back is counted, too
        return transaction.attempt()

    write.prepare(sessions.work)  # who has locked the ledger is not waited for that long
    try:
        outcome = lock_waits.retry(
            attempt,
            block=block.name,
            budget=timeouts.lock_budget,
            watch=lambda: lock_waits.watched(
                sessions.work, sessions.look, timeouts.lock_timeout, wait_ms
            ),
            report=attempts.note,
        )
    except lock_waits.WITHOUT_LOCKS as exc:
        raise Failed(
            _rolled_back(decision), problems=[_blocked(block, timeouts, attempts.noted)]
        ) from exc
    except psycopg.Error as exc:
        outcome = _outcome_by_ledger(sessions, decision, run_id, exc)
    if not outcome.confirmed:
        attempts.note_unconfirmed(outcome)
    return outcome


@dataclass(slots=True)
class _Attempts:
    """The attempts of one block, each reported and written into the ledger."""

    sessions: Sessions
    decision: Decision
    run_id: str
    report: Report
    noted: list[Attempt] = field(default_factory=list)

    def note(self, attempt: Attempt) -> None:
        """Report an attempt, and write it. Raises Failed if the ledger is locked."""
        self.noted.append(attempt)
        self.report(attempt)
        # An attempt that got its locks has committed the block: no error may say otherwise.
        harmless = (psycopg.Error, RunbookError) if attempt.got_locks else ()
        with suppress(*harmless):
            try:
                write.note_attempt(self.sessions.work, self.run_id, attempt)
            except Locked as exc:  # no lock of the block's, for which to try again
                raise Failed(_rolled_back(self.decision), problems=[exc.problem]) from exc

    def note_unconfirmed(self, outcome: Outcome) -> None:
        """Note that the last attempt was committed here, and confirmed by no standby."""
        number = self.noted[-1].number if self.noted else 1
        took_ms = round(outcome.elapsed_ms, 1)
        self.note(
            Attempt(outcome.block, number, outcome.started_at, took_ms, True, (standbys.NOBODY,))
        )


def _require_same(decision: Decision, now: Decision) -> None:
    """Raise Failed if something else is to be done now than was decided."""
    if now.sql != decision.sql:
        raise Failed.of(
            "the target has changed while the block waited",
            where=decision.block.name,
            remedy="run the cell again: it shows what is to be done now",
        )


def _outcome_by_ledger(
    sessions: Sessions, decision: Decision, run_id: str, exc: psycopg.Error
) -> Outcome:
    """What became of a block that was not heard to be committed: the ledger knows, once a lost
    session has ended.
    """
    block = decision.block
    try:
        row = ledger.block_row(sessions.work, run_id, block.name)
    except (psycopg.Error, RunbookError) as unreachable:
        problem = Problem(
            f"{first_line(exc)}; and the ledger cannot be asked: {first_line(unreachable)}",
            where=block.name,
            remedy="run again: the next run finds in the ledger whether the block was committed",
        )
        raise Failed(
            "It is not known whether the block was committed.", problems=[problem]
        ) from exc
    if row is None:
        problem = problem_of(exc, where=block.name, remedy=advice(exc, block))
        raise Failed(_rolled_back(decision), problems=[problem]) from exc
    event, started_at, finished_at = row
    elapsed_ms = (finished_at - started_at).total_seconds() * 1000
    lost = ("the connection was lost; the ledger has the block", elapsed_ms)
    return Outcome(
        block.name, event, (lost,), started_at, elapsed_ms, confirmed=_confirmed(sessions)
    )


def _confirmed(sessions: Sessions) -> bool:
    """Whether the standbys that a block's commit waits for have what is committed by now: they
    confirm it in order.
    """
    try:
        return not durability.write(sessions.work, _MARK, ())
    except (psycopg.Error, RunbookError):
        return False


# What leaves nothing but a trace in the WAL, which a commit waits for as for any other.
_MARK = "SELECT pg_logical_emit_message(true, 'pgrunbook', '')"


@dataclass(frozen=True, slots=True)
class _Transaction:
    """The transaction of one block, which can be attempted several times."""

    sessions: Sessions
    decision: Decision
    run_id: str
    timeouts: Timeouts
    ground: Ground
    ask: Ask

    def attempt(self) -> Outcome:
        """One attempt. Before it is committed, the catalog says what it has changed.

        Between the two nothing else is asked: whatever is needed is asked before, or in the first.
        """
        decision, block, conn = self.decision, self.decision.block, self.sessions.work
        message = self._message()
        write.prepare(conn)
        questions = self.ask(block, conn)
        # prepared before anybody has to wait for it
        changes.queries(conn)
        rows_written = catalog.statement(conn, "rows_written")
        clock = Clock()
        with conn.undoing():
            asked = [*changes.queries(conn), rows_written, *questions.asked]
            message.send(self.timeouts.settings, *asked)
            # While the server works:
            about = write.about(block, reason=decision.reason, sql=decision.sql, kept=decision.kept)
            written, deleted, rows, *answers = _received(message, decision)
            found = questions.facts(answers)
            if not message.kept:
                raise self.sessions.lost_lock()
            clock.laps += message.laps
            clock.lap()
            by_block = changes.from_rows([written, deleted])
            effect = effects.read_effect(conn, by_block, self.ground, decision.wanted)
            problems = postconditions.of_columns(decision, found)
            problems += postconditions.of_objects(decision, effect)
            if problems:
                raise Failed(_rolled_back(decision), problems=problems)
            locks = message.locks()
            done = write.block_insert(
                conn,
                self.run_id,
                about,
                event=decision.event,
                facts={fact: found[fact] for fact in block.facts if fact in found},
                effect=effect.rows,
                rows_written=rows,
                started_at=message.began_at,
                revision=decision.revision,
                laps=clock.laps,
                locks=locks,
            )
            sent = time.perf_counter()
            confirmed = self._commit(message, done, locked=bool(locks))
        clock.lap("COMMIT, with the ledger's rows")
        ended_ms = (time.perf_counter() - sent) * 1000
        self.ground.take(effect.differences, effect.after)
        return Outcome(
            block.name,
            decision.event,
            tuple(clock.laps),
            message.began_at,
            clock.total_ms,
            tuple(replace(lock, held_ms=lock.held_ms + ended_ms) for lock in locks),
            confirmed=confirmed,
            effect=replace(effect, rows_written=rows),
        )

    def _message(self) -> Message:
        """The block's statements that are to run. Locks are traced unless it makes all that it
        locks: otherwise its tables are there before.
        """
        decision, sessions = self.decision, self.sessions
        block = decision.block
        traced = block.alters or decision.action is not Action.APPLY
        statements = [block.statements[n] for n in decision.statements]
        path, role = block.search_path, block.role
        return Message(
            sessions.work, sessions.schema, statements, traced, sessions.keeper, path, role
        )

    def _commit(self, message: Message, recording: str, *, locked: bool) -> bool:
        """Send what records the block together with COMMIT. Returns whether standbys that it has to
        wait for have confirmed it in time.
        """
        conn = self.sessions.work
        limit_ms = milliseconds(self.timeouts.lock_timeout) if locked else standbys.PATIENCE_MS
        watch = standbys.unwatched()
        if message.awaits:
            watch = standbys.watched(conn, self.sessions.look, limit_ms)
        with watch as commit:
            conn.execute(f"{recording}; {FLUSH}; COMMIT".encode())
        return commit.confirmed


def _received(message: Message, decision: Decision) -> list[list[dict[str, Any]]]:
    """The rows of each question. Raises Failed for a statement that fails, with its place."""
    try:
        return message.receive()
    except lock_waits.WITHOUT_LOCKS:
        raise  # to be tried again
    except psycopg.Error as exc:
        # Without SQLSTATE the connection is lost, and nobody knows how far the server came.
        if message.failed and exc.sqlstate:
            raise Failed(
                _rolled_back(decision), problems=[_located(exc, decision.block, *message.failed)]
            ) from exc
        raise


def _blocked(block: Block, timeouts: Timeouts, attempts: Sequence[Attempt]) -> Problem:
    """Who was in the way at the end, when the budget is used up."""
    seen = attempts[-1].blockers if attempts else ()
    remedies = list(dict.fromkeys(blocker.remedy for blocker in seen if blocker.remedy))
    last = "wait until these sessions have ended their transactions, or end them; then run again"
    if any(blocker.transaction_s is None for blocker in seen):
        last += ". What they do is shown to a role that has pg_read_all_stats"
    return Problem(
        f"its locks could not be had in {len(attempts)} attempts of {timeouts.wait} each",
        where=block.name,
        expected=f"all of them at once, within the lock_budget of {timeouts.lock_budget}",
        found="\n".join(map(str, seen)) or "no blocker was seen",
        remedy="\n".join([*remedies, last]),
    )


def _rolled_back(decision: Decision) -> str:
    if decision.action is Action.REVERT:
        return "The revert failed and was rolled back: the block is there as it was."
    return "The block failed and was rolled back: nothing of it is there."


def _located(exc: psycopg.Error, block: Block, statement: Statement, index: int | None) -> Problem:
    """The server's error with its file, its line and what stands there; a caret where the server
    gives a position.
    """
    start = statement.sql.rfind("\n", 0, index or 0) + 1
    shown = [statement.sql[start:].split("\n", 1)[0]]
    shown += [] if index is None else [" " * (index - start) + "^"]
    problem = problem_of(exc, where=statement.place(index or 0), remedy=advice(exc, block))
    return replace(problem, found="\n".join(filter(None, [problem.found, *shown])))
