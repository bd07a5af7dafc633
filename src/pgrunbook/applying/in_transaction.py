"""Applies a block in one transaction with its ledger row, under timeouts, and tries it again until
it gets its locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from pgrunbook.postgres.blockers import Attempt, last_seen
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.lockers import Locked
from pgrunbook.postgres.pressure import FLUSH
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.records.words import BLOCK_ROLLED_BACK, REVERT_ROLLED_BACK
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.mentions import locks_what_it_changes

# Returns what to ask about the column of a block, in the message that has the block's statements.
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
    secrets: Sequence[str],
) -> Outcome:
    """Run what the decision says and record it, in one transaction: afterwards all of it is there,
    or nothing. It is tried again as long as others hold its locks.

    - `ground` are the objects as they were before: what the block has changed is told by them.
    - `decide` decides anew before another attempt: the SQL must still be the same.
    - `ask` returns what to ask about the block's column; `report` is called with each attempt.
    - `secrets` are the passwords of the run: what the block makes may hold none of them.

    Raises Failed, with everything rolled back, if a statement fails, if the result is not what was
    wanted, or if the lock budget is used up; also if the connection is lost and the ledger cannot
    be asked whether the block was committed.
    """
    block, timeouts = decision.block, timeouts.of(decision.block)
    attempts = _Attempts(sessions, decision, run_id, report)
    near = _locks_what_it_changes(sessions.work, decision)
    transaction = _Transaction(sessions, decision, run_id, timeouts, ground, ask, near, secrets)
    wait_ms = milliseconds(timeouts.wait)

    def attempt() -> Outcome:
        if attempts.noted:
            _require_same(decision, decide())
            # Until statistics are flushed, the counts of rows include those that were rolled back.
            sessions.work.execute(FLUSH)
        return transaction.attempt()

    # Not in an attempt: who has locked the ledger is not waited for as long as the lock budget.
    write.prepare(sessions.work)
    try:
        outcome = lock_waits.retry(
            attempt,
            block=block.name,
            budget=timeouts.lock_budget,
            watch=lambda: lock_waits.watch_blockers(
                sessions.work, sessions.look, timeouts.lock_timeout, wait_ms
            ),
            report=attempts.note,
        )
    except lock_waits.WITHOUT_LOCKS as exc:
        problem = _lock_problem(block, timeouts, attempts.noted)
        raise Failed(_rolled_back(decision), problems=[problem]) from exc
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
        try:
            write.note_attempt(self.sessions.work, self.run_id, attempt)
        except (psycopg.Error, RunbookError) as exc:
            # This attempt has committed the block: no error may say otherwise.
            if attempt.got_locks:
                return
            # The ledger is locked, and not what the block needs: it is not tried again for that.
            if isinstance(exc, Locked):
                raise Failed(_rolled_back(self.decision), problems=[exc.problem]) from exc
            raise

    def note_unconfirmed(self, outcome: Outcome) -> None:
        """Note that the last attempt was committed, and that no standby has confirmed it."""
        number = self.noted[-1].number if self.noted else 1
        took_ms = round(outcome.elapsed_ms, 1)
        self.note(
            Attempt(outcome.block, number, outcome.started_at, took_ms, True, (standbys.NOBODY,))
        )


def _locks_what_it_changes(conn: Session, decision: Decision) -> bool:
    """Whether the block can change nothing but relations that it locks, and what belongs to them:
    then its effect is found by these relations, which is quicker than to search all catalogs.
    """
    for statement in decision.pending_statements:
        if not locks_what_it_changes(statement.node):
            return False
    return not catalog.rows(conn, "event_triggers")  # whose code may change anything


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
    """Return the outcome of a block whose commit was not answered: the ledger has it, once the lost
    session has ended. Raises Failed if it was not committed, or if the ledger cannot be asked.
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
    """Whether the standbys that a commit waits for have confirmed the block by now."""
    # They confirm commits in the order of the WAL: if they confirm a later one, they have it.
    try:
        return not durability.write(sessions.work, _MARK, ())
    except (psycopg.Error, RunbookError):
        return False


# Writes nothing but a record into the WAL: its commit waits for standbys as any other.
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
    near: bool  # whether all that it changes hangs on relations that it locks
    secrets: Sequence[str]  # the passwords of the run

    def attempt(self) -> Outcome:
        """Try once: run the statements, read what they have changed, and commit."""
        decision, block, conn = self.decision, self.decision.block, self.sessions.work
        message = self._message()
        # From the message on, and until the commit, others may wait for the block's locks. So what
        # can be prepared is prepared before it, the message has all queries but that for the
        # effect, and the commit has the ledger's rows: the locks are held for two round trips.
        write.prepare(conn)
        questions = self.ask(block, conn)
        changed = changes.queries(conn, near=self.near)
        rows_written = catalog.statement(conn, "rows_written")
        clock = Clock()
        with conn.undoing():
            queries = [*changed, rows_written, *questions.asked]
            message.send(self.timeouts.settings, *queries)
            # while the server works
            about = write.about(block, reason=decision.reason, sql=decision.sql, kept=decision.kept)
            written, deleted, rows, *answers = _receive(message, decision)
            found = questions.facts(answers)
            # Without the run's lock another run may be changing the target: nothing is committed.
            if not message.kept:
                raise self.sessions.lost_lock()
            clock.laps += message.laps
            clock.lap()
            by_block = changes.from_rows([written, deleted])
            about_objects = decision.wanted, decision.expected
            effect = effects.read_effect(conn, by_block, self.ground, *about_objects)
            problems = postconditions.check(decision, effect, found, self.secrets)
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
        commit_ms = (time.perf_counter() - sent) * 1000
        self.ground.note_effect(effect.differences, effect.after)
        return Outcome(
            block.name,
            decision.event,
            tuple(clock.laps),
            message.began_at,
            clock.total_ms,
            tuple(replace(lock, held_ms=lock.held_ms + commit_ms) for lock in locks),
            confirmed=confirmed,
            effect=replace(effect, rows_written=rows),
        )

    def _message(self) -> Message:
        decision, sessions = self.decision, self.sessions
        block = decision.block
        return Message(
            sessions.work,
            sessions.schema,
            decision.pending_statements,
            # a block that only makes new objects has no lock that anybody could wait for
            traced=block.alters or decision.action is not Action.APPLY,
            keeper=sessions.keeper,
            path=block.search_path,
            role=block.role,
        )

    def _commit(self, message: Message, recording: str, *, locked: bool) -> bool:
        """Send what records the block, and COMMIT, as one message. Returns whether the standbys
        that the commit waits for have confirmed it in time.
        """
        conn = self.sessions.work
        limit_ms = milliseconds(self.timeouts.lock_timeout) if locked else standbys.PATIENCE_MS
        with standbys.watch_commit(
            conn, self.sessions.look, limit_ms, awaits=message.awaits
        ) as commit:
            conn.execute(f"{recording}; {FLUSH}; {standbys.COMMIT}".encode())
        return commit.confirmed


def _receive(message: Message, decision: Decision) -> list[list[dict[str, Any]]]:
    """Return the rows of each query. Raises Failed for a statement that fails, with its place."""
    try:
        return message.receive()
    except lock_waits.WITHOUT_LOCKS:
        raise  # to be tried again
    except psycopg.Error as exc:
        # Without SQLSTATE the connection is lost, and nobody knows how far the server came.
        if message.failed and exc.sqlstate:
            problem = _statement_problem(exc, decision.block, *message.failed)
            raise Failed(_rolled_back(decision), problems=[problem]) from exc
        raise


def _lock_problem(block: Block, timeouts: Timeouts, attempts: Sequence[Attempt]) -> Problem:
    """Return the problem of a block whose lock budget is used up: who was in its way."""
    seen = last_seen(attempts)
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
        return REVERT_ROLLED_BACK
    return BLOCK_ROLLED_BACK


def _statement_problem(
    exc: psycopg.Error, block: Block, statement: Statement, index: int | None
) -> Problem:
    """Return the server's error with its file, its line and what stands there; with a caret, if the
    server gives a position.
    """
    problem = problem_of(exc, where=statement.place(index or 0), remedy=advice(exc, block))
    start = statement.sql.rfind("\n", 0, index or 0) + 1
    found = [problem.found] if problem.found else []
    line = statement.sql[start:].split("\n", 1)[0]
    if line:
        found.append(line)
    if index is not None:
        found.append(" " * (index - start) + "^")
    return replace(problem, found="\n".join(found))
