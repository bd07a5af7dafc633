"""What a block, or what undoes it, was to leave on the target, and has not left."""

from __future__ import annotations

from pgrunbook.applying.effects import Effect
from pgrunbook.errors import Problem
from pgrunbook.inventory import objects
from pgrunbook.inventory.description import describe
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.runbooks.facts import Facts

_AS_RUN = "did not come out as its SQL says"
_AS_FOUND = "has changed since it was decided about"


def of_objects(decision: Decision, effect: Effect) -> list[Problem]:
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
                    expected=describe(definition, found),
                    found=describe(found, definition),
                    remedy="correct the revert script" if reverted else "run again",
                )
            )
    return problems


def of_columns(decision: Decision, found: Facts) -> list[Problem]:
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
