"""Checks, before the commit, that a block or its revert has left the target as it was to."""

from __future__ import annotations

from collections.abc import Sequence

from pgrunbook.applying.effects import Effect
from pgrunbook.errors import Problem
from pgrunbook.inventory import objects
from pgrunbook.inventory.description import describe
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.runbooks.facts import Facts
from pgrunbook.secrets import search
from pgrunbook.secrets.patterns import IF_A_NAME, KNOWN

_AS_RUN = "did not come out as its SQL says"
_AS_FOUND = "has changed since it was decided about"


def check(
    decision: Decision, effect: Effect, found: Facts, secrets: Sequence[str]
) -> list[Problem]:
    """Return what speaks against committing: columns, objects, passwords of this run."""
    return [
        *of_columns(decision, found),
        *of_objects(decision, effect),
        *_of_secrets(decision.block.name, effect, secrets),
    ]


def of_objects(decision: Decision, effect: Effect) -> list[Problem]:
    """Return a problem for each object that the block, or its revert, has not left as wanted."""
    problems = []
    what, remedy = _AS_FOUND, "run again"
    if decision.action is Action.REVERT:
        what, remedy = "is not as it was before the block", "correct the revert script"
    # A block that completes what exists of it may alter that; so may one that keeps what somebody
    # has altered.
    altered = set()
    if decision.action in (Action.COMPLETE, Action.APPLY):
        altered = {each.object for each in effect.differences}
    for wanted, definition in decision.wanted.items():
        found = effect.after.get(wanted)
        if not objects.holds(definition, found) and wanted not in altered:
            problems.append(
                Problem(
                    f"{wanted} {what}",
                    where=decision.block.name,
                    expected=describe(definition, found),
                    found=describe(found, definition),
                    remedy=remedy,
                )
            )
    return problems


def _of_secrets(block: str, effect: Effect, secrets: Sequence[str]) -> list[Problem]:
    """Return a problem for each object that contains a password of this run now. The text of the
    SQL was searched before, but code may have put it together; and the ledger would keep it for
    ever.
    """
    if not secrets:
        return []
    problems = []
    for each in (*effect.differences, *effect.kept):
        said = (str(each.object), dict(each.after.properties) if each.after else {})
        if KNOWN in search.leaks_in_value(said, secrets, sql=True):
            problems.append(
                Problem(
                    f"would hold {KNOWN}",
                    where=block,
                    found=search.clean(str(each.object), secrets, sql=True),
                    remedy="keep it out of what the block makes, and change it" + IF_A_NAME,
                )
            )
    return problems


def of_columns(decision: Decision, found: Facts) -> list[Problem]:
    """Return a problem for each column that does not accept a value as it was to; of a revert, for
    each that still accepts it.
    """
    block = decision.block
    problems = []
    if decision.action is Action.REVERT:
        for fact in block.facts:
            if fact in found:
                what = f"{fact} is still there"
                problems.append(Problem(what, block.name, "absent", found[fact]))
        return problems
    what = _AS_RUN if decision.pending else _AS_FOUND
    for fact, value in block.facts.items():
        if found.get(fact) != value:
            is_now = found.get(fact, "absent")
            problems.append(Problem(f"{fact} {what}", block.name, value, is_now))
    return problems
