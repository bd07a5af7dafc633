"""What a run that passed says about itself, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from pgrunbook.apply import Outcome
from pgrunbook.decisions import Decision
from pgrunbook.parameters import Parameters


def summary(chosen: Parameters, final: Sequence[Decision], outcomes: Sequence[Outcome]) -> str:
    """Of a run that passed: where its blocks are now, and what it did for that. `final` are decided at its end."""
    if chosen.mode == "plan":
        pending = sum(decision.pending for decision in final)
        return f"planned: {pending} of {_count(final)} to apply, nothing was changed"
    done = _counts([outcome.event for outcome in outcomes])
    if chosen.mode == "revert":
        return f"none of {_count(final)} is applied any more: {done}"
    place = "in place on the copy" if chosen.mode == "rehearse" else "in place"
    return f"{'all ' * (len(final) > 1)}{_count(final)} {'are' if len(final) > 1 else 'is'} {place}: {done}"


def _count(final: Sequence[Decision]) -> str:
    return f"{len(final)} block{'s' * (len(final) != 1)}"


def _counts(events: Sequence[str]) -> str:
    return ", ".join(f"{events.count(event)} {event}" for event in dict.fromkeys(events)) or "nothing was left to do"
