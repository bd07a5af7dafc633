"""Drift: the difference between what the ledger expects and what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pgrunbook.errors import Problem
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import (
    Definition,
    Difference,
    Inventory,
    Object,
    differences,
    holds,
)
from pgrunbook.ledger.fold import Fold, Setter

_REMEDY = (
    "bring the database back to what is expected by hand, then run again; nothing is overwritten. "
    "If it is to stay as it is, make the same change in a new block"
)


@dataclass(frozen=True, slots=True)
class Drift:
    """An object that is not as the ledger expects it: `expected` or `found` is None if it is to be
    absent, or is. `setter` is the block that last set it, or the table that it was added to.
    """

    object: Object
    expected: Definition | None
    found: Definition | None
    setter: Setter

    @property
    def problem(self) -> Problem:
        """What is to be said of it."""
        if self.expected is None:
            what = "is there, and nothing of the ledger has made it"
        elif self.found is None:
            what = "is gone"
        else:
            what = "was altered by hand"
        return Problem(
            f"{self.object} {what}",
            where=str(self.setter),
            expected=describe(self.expected, self.found),
            found=describe(self.found, self.expected),
            remedy=_REMEDY,
        )


def find_drift(fold: Fold, found: Inventory, version: int) -> list[Drift]:
    """Return what differs, in the order of the objects' names. Reads nothing.

    `version` is the server's major version: what another one has printed is only missed, not
    compared, until it is read anew.
    """
    unknown = fold.outdated(version) | fold.unread
    expected = {
        each: made for each, made in fold.definitions.items() if made and each not in unknown
    }
    back = [each for each, made in fold.definitions.items() if made is None and each in found]
    there = {each: found[each] for each in expected if each in found}
    changed = [
        _drift(each, fold)
        for each in differences(expected, there)
        if each.before == each.after or not holds(each.before, each.after)
    ]
    missing = [Drift(each, Definition({}), None, fold.setter(each)) for each in unknown - {*found}]
    changed += [Drift(each, None, found[each], fold.setter(each)) for each in back]
    differing = [*changed, *missing]
    # who names a table that is gone, or is back, need not name its parts
    whole = {d.object.identity for d in differing if d.found is None or d.expected is None}
    kept = [each for each in differing if fold.parts.get(each.object) not in whole]
    return sorted([*kept, *_added(fold, found)], key=lambda each: each.object)


def _drift(each: Difference, fold: Fold) -> Drift:
    return Drift(each.object, each.before, each.after, fold.setter(each.object))


def _added(fold: Fold, found: Inventory) -> Iterator[Drift]:
    """What hangs on a table that a block has made, and no block has. An index that enforces nothing
    is the DBA's own business.
    """
    made = {
        found.addresses[each]: each
        for each in fold.made & fold.history.keys()
        if each.type in _TABLES and each in found.addresses
    }
    for each, owner in found.owners.items():
        table = made.get(owner)
        if table and each not in fold.history:
            definition = found[each]
            text = str(definition.properties.get("definition", ""))
            if each.type != "index" or text.startswith("CREATE UNIQUE"):
                yield Drift(each, None, definition, fold.setter(table))


_TABLES = ("table", "view", "materialized view", "foreign table")
