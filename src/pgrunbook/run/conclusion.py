"""How a run ends: the error that ended it, or in one line what it says that passed; and the facts
of its card.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from pgrunbook.applying.outcome import Outcome
from pgrunbook.errors import Failed, Interrupted, LockedOut, Problem, Refused, RunbookError
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres import locks
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.identity import Identity
from pgrunbook.postgres.lockers import Locked
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.records import words
from pgrunbook.records.plan import Plan
from pgrunbook.runbooks.parameters import Parameters

_BEGUN = "The run cannot go on. What it committed before is in the ledger."


def error(
    exc: BaseException, chosen: Parameters, sessions: Sessions, *, begun: bool
) -> RunbookError | None:
    """What went wrong in a cell as one of our errors; None for a fault of ours.

    `begun`: whether the run has written, so that it can no longer be said that nothing was changed.
    """
    match exc:
        case Refused() | LockedOut():  # which both say so
            return Failed(_BEGUN, problems=exc.problems) if begun else exc
        case RunbookError():
            return exc
        case psycopg.errors.LockNotAvailable():
            problem = exc.problem if isinstance(exc, Locked) else _unreadable(chosen, sessions)
            found: RunbookError = (
                Failed(_BEGUN, problems=[problem]) if begun else Refused(problems=[problem])
            )
        case psycopg.errors.QueryCanceled():
            slow = (
                "raise the parameter statement_timeout, unless somebody cancelled the query; "
                "then run again"
            )
            found = Failed(
                problems=[problem_of(exc, where=f"target {chosen.target!r}", remedy=slow)]
            )
        case psycopg.Error():
            found = Failed(problems=[problem_of(exc, where=f"target {chosen.target!r}")])
        case KeyboardInterrupt():
            found = Interrupted()
        case _:
            return None
    found.__cause__ = exc
    return found


def _unreadable(chosen: Parameters, sessions: Sessions) -> Problem:
    """A table could not be read within the reader's lock_timeout; and who holds it."""
    return Problem(
        "a table cannot be read now: somebody else is changing it",
        where=f"target {chosen.target!r}",
        expected=f"no {locks.STRONGEST} lock on a table of schema {chosen.schema_}",
        found=locks.holders(sessions.look, chosen.schema_, locks.STRONGEST)
        or "it has just been let go of",
        remedy="wait until these sessions have ended their transactions, or end them; then run "
        "again",
    )


def facts(
    chosen: Parameters, identity: Identity, started_at: datetime, plan: Plan | None
) -> dict[str, Any]:
    """What the card says of a run that ends now, by the keys of `parts.Card`."""
    ended = datetime.now(UTC)
    return {
        "mode": chosen.mode,
        "target": chosen.target,
        "database": identity.database,
        "schema": chosen.schema_,
        "ended_at": ended.isoformat(timespec="seconds"),
        "took_ms": round((ended - started_at).total_seconds() * 1000),
        "plan": plan.digest if plan and plan.steps else "",
        "lock_timeout": chosen.lock_timeout,
    }


def summary(
    chosen: Parameters,
    final: Sequence[Decision],
    outcomes: Sequence[Outcome],
    after: Sequence[str] = (),
) -> str:
    """Of a run that passed: where its blocks are now, and what it did for that. `final` are decided
    at its end; `after` are the pending runbooks that were done on the copy before.
    """
    said = _summary(chosen, final, outcomes)
    return f"{said}; after {words.pending(after)}" if after else said


def _summary(chosen: Parameters, final: Sequence[Decision], outcomes: Sequence[Outcome]) -> str:
    if chosen.mode == "plan":
        pending = sum(decision.pending for decision in final)
        return f"planned: {pending} of {_count(final)} to apply, nothing was changed"
    done = _counts([outcome.event for outcome in outcomes])
    if chosen.mode == "revert":
        return f"none of {_count(final)} is applied any more: {done}"
    place = "in place on the copy" if chosen.mode == "rehearse" else "in place"
    return (
        f"{'all ' * (len(final) > 1)}{_count(final)} {'are' if len(final) > 1 else 'is'} "
        f"{place}: {done}"
    )


def _count(final: Sequence[Decision]) -> str:
    return f"{len(final)} block{'s' * (len(final) != 1)}"


def _counts(events: Sequence[str]) -> str:
    return (
        ", ".join(f"{events.count(event)} {event}" for event in dict.fromkeys(events))
        or "nothing was left to do"
    )
