"""Drift: the difference between what the ledger expects and what is there."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from pgrunbook.errors import Problem
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import (
    Address,
    Definition,
    Inventory,
    Object,
    differences,
    holds,
)
from pgrunbook.ledger.fold import Fold, Setter

_REMEDY = (
    "bring the database back to what is expected by hand, then run again; nothing is overwritten. "
    "If it is to stay as it is, make the same change in a new block, with the header "
    "`-- keeps: {}`"
)


def remedy(objects: Iterable[str]) -> str:
    """Return what to do about the drift of these objects, together."""
    return _REMEDY.format(", ".join(objects))


@dataclass(frozen=True, slots=True)
class Drift:
    """An object that is not as the ledger expects it.

    - `expected`: its definition in the ledger; None if it should not be there.
    - `found`: its definition in the catalog; None if it is not there.
    - `setter`: the block that last set it; of what was added to a table by hand, that last set the
      table.
    """

    object: Object
    expected: Definition | None
    found: Definition | None
    setter: Setter

    @property
    def problem(self) -> Problem:
        """The drift as a run and `pgrunbook drift` tell it, with its remedy."""
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
            remedy=remedy([str(self.object)]),
        )


def find_drift(fold: Fold, found: Inventory, version: int) -> list[Drift]:
    """Return what differs, in the order of the objects' names. Reads nothing.

    `version` is the server's major version: what another one has printed is only missed, not
    compared, until it is read anew.
    """
    unknown = fold.outdated(version) | fold.unread
    differing = [*_find_altered(fold, found, unknown)]
    for each, expected in fold.definitions.items():
        if expected is None and each in found:  # it is back
            differing.append(Drift(each, None, found[each], fold.setter(each)))
    for each in unknown:
        if each not in found:
            differing.append(Drift(each, Definition({}), None, fold.setter(each)))
    # A table that is gone, or back, is named alone: its columns and indexes are so for that reason.
    whole = set()
    for drift in differing:
        if drift.found is None or drift.expected is None:
            whole.add(drift.object.identity)
    kept = [drift for drift in differing if fold.parts.get(drift.object) not in whole]
    return sorted([*kept, *_find_added(fold, found)], key=lambda drift: drift.object)


def _find_altered(fold: Fold, found: Inventory, unknown: Container[Object]) -> Iterator[Drift]:
    """Yield the objects that differ from what is expected, or are gone; not those in `unknown`."""
    expected: dict[Object, Definition] = {}
    there: dict[Object, Definition] = {}
    for each, definition in fold.definitions.items():
        if definition is None or each in unknown:
            continue
        expected[each] = definition
        if each in found:
            there[each] = found[each]
    for difference in differences(expected, there):
        before, after = difference.before, difference.after
        # equal definitions are a difference, too: the column stands at another place
        if before == after or not holds(before, after):
            yield Drift(difference.object, before, after, fold.setter(difference.object))


def _find_added(fold: Fold, found: Inventory) -> Iterator[Drift]:
    """Yield what was added by hand to objects that blocks have made.

    Not an index that enforces nothing: to add one is a DBA's daily work. Not a view's columns: they
    are in its definition.
    """
    made: dict[Address, Object] = {}
    for each in fold.made & fold.history.keys():
        if each in found.addresses:
            made[found.addresses[each]] = each
    for each, owner in found.owners.items():
        whole = made.get(owner)
        if whole is None or each in fold.history or each.type.endswith("view column"):
            continue
        definition = found[each]
        text = str(definition.properties.get("definition", ""))
        if each.type != "index" or text.startswith("CREATE UNIQUE"):
            yield Drift(each, None, definition, fold.setter(whole))
