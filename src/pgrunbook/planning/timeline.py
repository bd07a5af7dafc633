"""How the objects that blocks make come to be, statement by statement, and how far a database has
come.

Each property of an object has a history of its own: a statement is done, as far as a property
tells, if that is now as it was after the statement or later, and not done if it is as it was
before. Knows no server: what was seen on the twin is given.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgrunbook.inventory.objects import PLACE, Definition, Object

State = Definition | None  # None: it is not there
Change = tuple[State, State]  # before and after a statement


class Work(enum.Enum):
    """What a statement does besides, or instead of, what the catalog shows."""

    NONE = "nothing"
    ROWS = "rows"  # writes rows, or may: to repeat it does something else
    UPKEEP = "upkeep"  # can be repeated: VACUUM, REINDEX, REFRESH


class Vote(enum.Flag):
    """What the objects that a statement has set say of it. Both: an object of before and of after
    looks the same. Neither: an object is in none of its states.
    """

    NEITHER = 0
    DONE = enum.auto()
    UNDONE = enum.auto()
    EITHER = DONE | UNDONE


@dataclass(frozen=True, slots=True)
class Step:
    """One statement as it went on the twin: its block, its index there, and what it changed.

    `lenient` are the objects that it leaves alone if they are there (IF NOT EXISTS), `replaced`
    those that it puts in the place of others (OR REPLACE), be they the same.
    """

    block: str
    index: int
    changes: Mapping[Object, Change]
    work: Work = Work.NONE
    lenient: frozenset[Object] = frozenset()
    replaced: frozenset[Object] = frozenset()


@dataclass(frozen=True, slots=True)
class Deviation:
    """An object with properties that no statement gives it; `expected` is what the last one makes
    of it.
    """

    object: Object
    properties: frozenset[str]
    expected: State
    found: State


class _Gone(enum.Enum):
    """Stands for each property of an object that is not there."""

    GONE = "gone"


_THERE = ""  # stands among the properties for the object itself
# What a column that IF NOT EXISTS leaves alone may have of its own.
_LEFT_ALONE = frozenset({"default", "not null", "not null constraint", "not null option"})


class Timeline:
    """All statements in order, and how the target has the objects that they set."""

    def __init__(self, steps: Sequence[Step], found: Mapping[Object, Definition]) -> None:
        self.steps = steps
        self.found = found
        # what IF NOT EXISTS leaves alone
        self.lenient = {each for step in steps for each in step.lenient}
        self._states: dict[Object, list[tuple[int, State]]] = {}
        for number, step in enumerate(steps, start=1):
            for each, (before, after) in step.changes.items():
                self._states.setdefault(each, [(0, before)]).append((number, after))
        for each in {each for step in steps for each in step.replaced}:
            self._begin_without(each)

    def _begin_without(self, each: Object) -> None:
        """Take what OR REPLACE has found there for made by the blocks, if one of them makes it so:
        it was left on the twin as the target has it.
        """
        (_, before), *later = self._states[each]
        if before in [state for _, state in later]:
            self._states[each][0] = (0, None)

    def __contains__(self, each: object) -> bool:
        return each in self._states

    def __iter__(self) -> Iterator[Object]:
        return iter(self._states)

    def first(self, each: Object) -> State:
        """How it is before the first statement."""
        return self._states[each][0][1]

    def after(self, number: int, each: Object) -> State:
        """How it is after a statement, counted from 1."""
        return [state for begin, state in self._states[each] if begin <= number][-1]

    def votes(self, number: int, done: int = 0) -> dict[Object, Vote]:
        """What each object that a statement, counted from 1, has set says of it, if the statements
        up to `done` are done.
        """
        changes = self.steps[number - 1].changes
        return {each: self._vote(number, each, done) for each in changes}

    def _change(self, number: int, each: Object) -> Change:
        states = [state for begin, state in self._states[each] if begin <= number]
        return states[-2], states[-1]

    def _vote(self, number: int, each: Object, done: int) -> Vote:
        """Done and not done by turns is neither: the object was never so."""
        vote = Vote.EITHER
        for name in self._set(each, self._change(number, each)):
            vote &= self._of_property(number, each, name, done)
        return vote

    def _set(self, each: Object, change: Change) -> Iterator[str]:
        """The properties that a statement has set: all that the object has, where it makes or drops
        it.
        """
        before, after = change
        if before is not None and after is not None:
            yield from differing(before, after)
            return
        states = [state for _, state in self._states[each]] + [self.found.get(each)]
        names = {name for state in states if state is not None for name in state.properties}
        yield from (_THERE, *(names - {PLACE}))

    def _of_property(self, number: int, each: Object, name: str, done: int) -> Vote:
        now = _value(self.found.get(each), name)
        states = self._states[each]
        following = [begin for begin, _ in states[1:]] + [len(self.steps) + 1]
        vote = Vote.NEITHER
        for (begin, state), end in zip(states, following, strict=True):
            if end > done and _value(state, name) == now:
                vote |= Vote.DONE if end > number else Vote.NEITHER
                vote |= Vote.UNDONE if begin < number else Vote.NEITHER
        if vote is Vote.NEITHER and each in self.lenient and name in _LEFT_ALONE:
            return Vote.EITHER
        return vote

    def deviation(self, each: Object) -> Deviation:
        """How the target's differs from what the last statement that leaves it there makes."""
        found = self.found.get(each)
        there = [state for _, state in self._states[each] if state is not None]
        expected = there[-1] if there else None
        if expected is None or found is None:
            return Deviation(each, frozenset(), expected, found)
        return Deviation(each, differing(expected, found), expected, found)


def _value(state: State, name: str) -> object:
    if state is None:
        return _Gone.GONE
    return name == _THERE or state.properties.get(name)


def differing(one: Definition, other: Definition) -> frozenset[str]:
    """The properties that two definitions do not have alike."""
    names = (one.properties.keys() | other.properties.keys()) - {PLACE}
    return frozenset(n for n in names if one.properties.get(n) != other.properties.get(n))
