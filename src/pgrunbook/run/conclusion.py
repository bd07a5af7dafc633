"""What the notebook and the ledger say of a run's end: the error that ended it, or in one line what
was done; and the facts of its card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from pgrunbook.applying.outcome import Outcome
from pgrunbook.errors import Failed, Interrupted, LockedOut, Refused, RunbookError
from pgrunbook.planning.decisions import Action, Decision
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
    """Return what went wrong in a cell as one of our errors; None for a fault of ours.

    `begun`: the run has written. Then it is not Refused any more, which says that nothing was
    changed.
    """
    found: RunbookError
    match exc:
        case Refused() | LockedOut() if begun:
            return Failed(_BEGUN, problems=exc.problems)
        case RunbookError():
            return exc
        # Of queries of ours: how a block waits for its locks, `applying` settles.
        case psycopg.errors.LockNotAvailable():
            if isinstance(exc, Locked):
                problem = exc.problem
            else:
                problem = locks.unreadable(sessions.look, chosen.target)
            found = Refused(problems=[problem])
            if begun:
                found = Failed(_BEGUN, problems=[problem])
        case psycopg.errors.QueryCanceled():
            slow = (
                "raise the parameter statement_timeout, unless somebody cancelled the query; "
                "then run again"
            )
            found = Failed(
                problems=[problem_of(exc, where=f"target {chosen.target!r}", remedy=slow)]
            )
        # Somebody has taken away what everybody may read by default. Later it is a failure.
        case psycopg.errors.InsufficientPrivilege() if not begun:
            may = "let this role read it: PUBLIC may, unless somebody has revoked that"
            found = Refused(
                problems=[problem_of(exc, where=f"target {chosen.target!r}", remedy=may)]
            )
        case psycopg.Error():
            found = Failed(problems=[problem_of(exc, where=f"target {chosen.target!r}")])
        case KeyboardInterrupt():
            found = Interrupted()
        case _:
            return None  # its traceback is of more use than a message
    found.__cause__ = exc
    return found


def facts(
    chosen: Parameters, identity: Identity, started_at: datetime, plan: Plan | None
) -> dict[str, Any]:
    """Return what the card says of a run that ends now, by the keys of `parts.Card`."""
    ended = datetime.now(UTC)
    digest = ""
    if plan and plan.steps:
        digest = plan.digest
    return {
        "mode": chosen.mode,
        "target": chosen.target,
        "database": identity.database,
        "schema": chosen.schema_,
        "ended_at": ended.isoformat(timespec="seconds"),
        "took_ms": round((ended - started_at).total_seconds() * 1000),
        "plan": digest,
        "lock_timeout": chosen.lock_timeout,
    }


def summary(
    chosen: Parameters,
    final: Sequence[Decision],
    outcomes: Sequence[Outcome],
    after: Sequence[str] = (),
) -> str:
    """Return in a line what a run that passed has done. `final` are the decisions at its end;
    `after` are the pending runbooks that were done on the copy before.
    """
    said = _summary(chosen, final, outcomes)
    if after:
        said += f"; after {words.pending(after)}"
    return said


def _summary(chosen: Parameters, final: Sequence[Decision], outcomes: Sequence[Outcome]) -> str:
    blocks = words.counted(len(final), "block")
    if chosen.mode == "plan":
        said = f"planned: {sum(decision.pending for decision in final)} of {blocks} to apply"
        adopted = sum(decision.action is Action.ADOPT for decision in final)
        if adopted:
            said += f", {adopted} to adopt"
        return f"{said}, nothing was changed"
    counts = Counter(outcome.event for outcome in outcomes)
    done = words.tally(counts) or "nothing was left to do"
    if chosen.mode == "revert":
        return f"none of {blocks} is applied any more: {done}"
    place = "in place on the copy" if chosen.mode == "rehearse" else "in place"
    if len(final) > 1:
        return f"all {blocks} are {place}: {done}"
    return f"{blocks} is {place}: {done}"
