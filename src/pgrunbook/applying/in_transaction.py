"""A block onto a target: one transaction with its ledger row, under timeouts, tried until it gets
its locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg

from pgrunbook.admit.columns import Questions
from pgrunbook.applying import effects, lock_waits, standbys
from pgrunbook.applying.effects import Effect
from pgrunbook.applying.lock_waits import Report
from pgrunbook.applying.one_message import Message
from pgrunbook.applying.outcome import Clock, Outcome
from pgrunbook.applying.remedies import advice
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed, Problem, RunbookError, first_line
from pgrunbook.inventory import changed, objects
from pgrunbook.inventory.words import told
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
from pgrunbook.runbooks.facts import Facts
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
    attempts: list[Attempt] = []
    wait_ms = milliseconds(timeouts.wait)

    def note(attempt: Attempt) -> None:
        attempts.append(attempt)
        report(attempt)
        # then the block is committed
        with suppress(*((psycopg.Error, RunbookError) if attempt.got_locks else ())):
            try:
                write.note_attempt(sessions.work, run_id, attempt)
            except Locked as exc:  # no lock of the block's, for which to try again
                raise Failed(_rolled_back(decision), problems=[exc.problem]) from exc

    def attempt() -> Outcome:
        if attempts and decide().sql != decision.sql:
            remedy = "run the cell again: it shows what is to be done now"
            raise Failed.of(
                "the target has changed while the block waited", where=block.name, remedy=remedy
            )
        if attempts:
            sessions.work.execute(FLUSH)  # what was rolled back is counted, too
        return _once(sessions, decision, run_id, timeouts, ground, ask)

    write.prepare(sessions.work)  # who has locked the ledger is not waited for that long
    try:
        outcome = lock_waits.retry(
            attempt,
            block=block.name,
            budget=timeouts.lock_budget,
            watch=lambda: lock_waits.watched(
                sessions.work, sessions.look, timeouts.lock_timeout, wait_ms
            ),
            report=note,
        )
    except lock_waits.WITHOUT_LOCKS as exc:
        raise Failed(
            _rolled_back(decision), problems=[_blocked(block, timeouts, attempts)]
        ) from exc
    except psycopg.Error as exc:
        outcome = _settled(sessions, decision, run_id, exc)
    if not outcome.confirmed:
        number = attempts[-1].number if attempts else 1
        note(
            Attempt(
                block.name,
                number,
                outcome.started_at,
                round(outcome.elapsed_ms, 1),
                True,
                (standbys.NOBODY,),
            )
        )
    return outcome


def _settled(sessions: Sessions, decision: Decision, run_id: str, exc: psycopg.Error) -> Outcome:
    """What became of a block that was not heard to be committed: the ledger knows, once a lost
    session has ended.
    """
    block = decision.block
    try:
        row = ledger.row(sessions.work, run_id, block.name)
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


def _once(
    sessions: Sessions,
    decision: Decision,
    run_id: str,
    timeouts: Timeouts,
    ground: Ground,
    ask: Ask,
) -> Outcome:
    """One attempt. Before it is committed, the catalog says what it has changed.

    Between the two nothing else is asked: whatever is needed is asked before, or in the first.
    """
    block, conn = decision.block, sessions.work
    traced = block.alters or decision.action is not Action.APPLY  # or its tables are there before
    statements = [block.statements[n] for n in decision.statements]
    path, role = block.search_path, block.role
    message = Message(conn, sessions.schema, statements, traced, sessions.keeper, path, role)
    write.prepare(conn)
    questions = ask(block, conn)
    # prepared before anybody has to wait for it
    changed.asking(conn)
    rows_written = catalog.asking(conn, "rows_written")
    clock = Clock()
    with conn.undoing():
        message.send(timeouts.settings, *changed.asking(conn), rows_written, *questions.asked)
        # While the server works:
        about = write.about(block, reason=decision.reason, sql=decision.sql, kept=decision.kept)
        written, deleted, rows, *answers = _received(message, decision)
        found = questions.facts(answers)
        if not message.kept:
            raise sessions.lost_lock()
        clock.laps += message.laps
        clock.lap()
        by_block = changed.answered([written, deleted])
        effect = effects.read_effect(conn, by_block, ground, decision.wanted)
        problems = [*differences(decision, found), *unmet(decision, effect)]
        if problems:
            raise Failed(_rolled_back(decision), problems=problems)
        locks = message.locks()
        done = write.recording(
            conn,
            run_id,
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
        limit_ms = milliseconds(timeouts.lock_timeout) if locks else standbys.PATIENCE_MS
        with (
            standbys.watched(conn, sessions.look, limit_ms)
            if message.awaits
            else standbys.unwatched() as commit
        ):
            # Triggers that are deferred until now see what they see in psql.
            conn.execute(f"{done}; {FLUSH}; {message.leaving}; COMMIT".encode())
    clock.lap("COMMIT, with the ledger's rows")
    ended_ms = (time.perf_counter() - sent) * 1000
    locks = tuple(replace(lock, held_ms=lock.held_ms + ended_ms) for lock in locks)
    ground.take(effect.differences, effect.after)
    done_with = tuple(clock.laps), message.began_at, clock.total_ms, locks
    return Outcome(
        block.name,
        decision.event,
        *done_with,
        confirmed=commit.confirmed,
        effect=replace(effect, rows_written=rows),
    )


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
    seen = [blocker for attempt in attempts[-1:] for blocker in attempt.blockers]
    hidden = any(blocker.transaction_s is None for blocker in seen)
    remedy = "wait until these sessions have ended their transactions, or end them; then run again"
    remedy = "\n".join(
        [*dict.fromkeys(blocker.remedy for blocker in seen if blocker.remedy), remedy]
    )
    return Problem(
        f"its locks could not be had in {len(attempts)} attempts of {timeouts.wait} each",
        where=block.name,
        expected=f"all of them at once, within the lock_budget of {timeouts.lock_budget}",
        found="\n".join(map(str, seen)) or "no blocker was seen",
        remedy=f"{remedy}. What they do is shown to a role that has pg_read_all_stats"
        if hidden
        else remedy,
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


def unmet(decision: Decision, effect: Effect) -> list[Problem]:
    """Where the block, or what undoes it, has not left what was to be there."""
    problems = []
    # a block that is completed may alter what is there of it
    altered = {each.object for each in effect.differences}
    left = altered if decision.action is Action.COMPLETE else set()
    for wanted, definition in decision.wanted.items():
        found = effect.after.get(wanted)
        if not objects.holds(definition, found) and wanted not in left:
            reverted = decision.action is Action.REVERT
            what = "is not as it was before the block" if reverted else _AS_FOUND
            problems.append(
                Problem(
                    f"{wanted} {what}",
                    where=decision.block.name,
                    expected=told(definition, found),
                    found=told(found, definition),
                    remedy="correct the revert script" if reverted else "run again",
                )
            )
    return problems


_AS_RUN = "did not come out as its SQL says"
_AS_FOUND = "has changed since it was decided about"


def differences(decision: Decision, found: Facts) -> list[Problem]:
    """Where a column does not accept a value as it was to; or still does, if that is undone."""
    block = decision.block
    if decision.action is Action.REVERT:
        left = [fact for fact in block.facts if fact in found]
        return [
            Problem(f"{each} is still there", block.name, "absent", found[each]) for each in left
        ]
    what = _AS_RUN if decision.pending else _AS_FOUND
    return [
        Problem(f"{fact} {what}", block.name, expected=value, found=found.get(fact, "absent"))
        for fact, value in block.facts.items()
        if found.get(fact) != value
    ]
