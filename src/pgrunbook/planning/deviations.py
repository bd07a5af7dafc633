"""Describes, as problems, what differs on the target from what the blocks make, property by
property.
"""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import PLACE, Address, Definition, Inventory, Object
from pgrunbook.planning.timeline import Deviation, State, Timeline

_REMEDY = (
    "bring the database back to the expected shape by hand, then run again; nothing is overwritten"
)


# Properties that a DBA sets on objects which others have made.
_SET_BY_A_DBA = {"privileges", "options", "statistics", "comment", "comment on the index"}
_STAY = (
    "write it into the file, which was not applied from here yet; or, if it is to stay out of it, "
    "-p adopt {0}, which takes the block as it is here"
)
_JUDGE = (
    "compare it yourself: if the block was done, -p adopt {0}; or name a server that can have it, "
    "as [twin] server in pgrunbook.toml (docs/configuration.md)"
)


def problem(deviation: Deviation, where: str, why_not: str = "") -> Problem:
    """Return the problem of an object that differs; of a text of several lines, such as a
    function's, with the lines that differ. `why_not` says why the twin cannot tell; empty if it
    can.
    """
    each, expected, found = deviation.object, deviation.expected, deviation.found
    what, remedy = f"{each} is not as the block makes it", _REMEDY
    if deviation.properties and deviation.properties <= _SET_BY_A_DBA:
        remedy = _STAY.format(where)
    if why_not:
        what, remedy = f"{each} cannot be judged: {why_not}", _JUDGE.format(where)
    if expected is None or found is None or not deviation.properties:
        return Problem(what, where, shown(expected), shown(found), remedy)
    names = sorted(deviation.properties)
    if len(names) == 1 and "\n" in _text(expected.properties.get(names[0])):
        return Problem(what, where, found=_diff(expected, found, names[0]), remedy=remedy)
    return Problem(what, where, shown(expected, names), shown(found, names), remedy)


def shown(state: State, names: Collection[str] | None = None) -> str:
    """Return properties of a definition as text, those of these names or all; `none` for one that
    it lacks.
    """
    if state is None:
        return "absent"
    wanted = sorted(state.properties.keys() - {PLACE}) if names is None else names
    return "; ".join(f"{name}: {_text(state.properties.get(name))}" for name in wanted) or "there"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _diff(expected: Definition, found: Definition, name: str) -> str:
    """Return a diff: `-` before the lines that were expected, `+` before those that were found."""
    one = _text(expected.properties.get(name)).splitlines()
    other = _text(found.properties.get(name)).splitlines()
    lines = difflib.unified_diff(one, other, "expected", "found", n=1, lineterm="")
    return "\n".join(lines)


class Tables:
    """The tables that blocks make, or add columns to, as the target has them."""

    def __init__(
        self,
        timeline: Timeline,
        target: Inventory,
        expected: Collection[Object] = (),
        done: int = 0,
    ) -> None:
        """Sort the target's objects by the blocks that make them.

        - `expected` are the objects that the ledger expects: other runbooks may have made them.
        - `done` is the number of the last statement that is known to be done.
        """
        self._done = done
        self._expected = expected
        self._timeline = timeline
        self._target = target
        self._made: dict[str, list[Object]] = defaultdict(list)
        self._columns: dict[str, set[Address]] = defaultdict(set)
        self._created: set[Address] = set()  # tables
        self._parts: dict[Address, list[Object]] = defaultdict(list)
        for each, owner in target.owners.items():
            self._parts[owner].append(each)
        # triggers of partitions that are enabled otherwise than on the parent
        self._otherwise = [e for e in target if "of the parent" in target[e].properties]
        seen: set[Object] = set()
        for step in timeline.steps:
            for each, (before, _) in step.changes.items():
                if before is not None or each in seen or each not in target:
                    continue
                if each in step.in_unnamed_partitions:
                    continue
                seen.add(each)
                self._made[step.block].append(each)
                if each.type == "table":
                    self._created.add(target.addresses[each])
                elif each.type == "table column":
                    self._columns[step.block].add(target.owners[each])

    def problems(self, block: str, why_not: str = "") -> Iterator[Problem]:
        """Yield a problem for each part of the block's objects that no block has made, and for
        columns in another order than the blocks add them. `why_not`: see `problem`.
        """
        for made in self._made[block]:
            yield from self._extras(made, block, why_not)
            for each in self._otherwise_on_partitions(made):
                found = Deviation(each, frozenset(), None, self._target[each])
                yield problem(found, block, why_not)
        for address in sorted(self._columns[block]):
            yield from self._order(address, block)

    def _extras(self, made: Object, where: str, why_not: str) -> Iterator[Problem]:
        for each in self._parts[self._target.addresses[made]]:
            if each in self._timeline or each in self._expected:
                continue
            definition = self._target[each]
            text = str(definition.properties.get("definition", ""))
            # A DBA may add indexes as they like, unless they enforce something.
            if each.type == "index" and not text.startswith("CREATE UNIQUE"):
                continue
            if why_not:
                yield problem(Deviation(each, frozenset(), None, definition), where, why_not)
                continue
            what = f"{each} is on a {made.type} that the block makes"
            yield Problem(what, where, "absent", shown(definition), _REMEDY)

    def _otherwise_on_partitions(self, made: Object) -> Iterator[Object]:
        """Yield what a trigger is on partitions, where it is enabled otherwise than on their
        parent, and no block has made it so.
        """
        trigger, _, table = made.identity.partition(" on ")
        for each in self._otherwise:
            name, _, partition = each.identity.partition(" on ")
            if made.type != "trigger" or name != trigger or not self._is_below(partition, table):
                continue
            if each not in self._timeline and each not in self._expected:
                yield each

    def _is_below(self, partition: str, table: str) -> bool:
        while definition := self._target.get(Object("table", partition)):
            (partition, *_) = definition.properties.get("inherits", [""])
            if partition == table:
                return True
        return False

    def _order(self, table: Address, where: str) -> Iterator[Problem]:
        places = []
        for each in self._parts[table]:
            if each.type != "table column" or each not in self._timeline:
                continue
            state = self._timeline.after(self._done, each)
            if state is None or self._timeline.first(each) is not None:
                continue
            if each in self._timeline.lenient and table not in self._created:
                continue  # IF NOT EXISTS leaves it where it is
            now = self._target[each].properties[PLACE]
            places.append((state.properties[PLACE], now, each))
        expected = [each for _, _, each in sorted(places)]
        found = [each for _, _, each in sorted(places, key=lambda place: place[1])]
        if expected != found:
            what = "the columns are in another order"
            yield Problem(what, where, _columns(expected), _columns(found), _REMEDY)


def _columns(columns: Sequence[Object]) -> str:
    return ", ".join(column.identity for column in columns)
