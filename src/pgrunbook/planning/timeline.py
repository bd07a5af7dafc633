"""The history of the objects that blocks make, statement by statement, and how far a target has
come in it. Knows no server: what was read on the twin, and on the target, is given.

Each property of an object (a column's type, its default …) has a history of its own: one state
before the first statement, and one after each statement that sets it. If a property is now in a
state from after a statement, that speaks for the statement to be done; if it is in one from before,
against it. A block that gives a column a default, and a later one that drops the default, make a
history in which the property is twice in the same state: then it tells nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pgrunbook.inventory.objects import PLACE, Definition, Object

State = Definition | None  # None: it is not there
Change = tuple[State, State]  # before and after a statement


class Work(enum.Enum):
    """What a statement does besides, or instead of, what the catalog shows."""

    NONE = "nothing"
    ROWS = "rows"  # writes rows, or may: to repeat it does something else
    UPKEEP = "upkeep"  # can be repeated: VACUUM, REINDEX, REFRESH


class Vote(enum.Flag):
    """What an object, as the target has it, says of a statement that sets the object.

    - DONE, UNDONE: it is as the statement, or a later one, has left it; as it was before.
    - EITHER: it is as before the statement, and as after it or a later one, which look the same.
    - NEITHER: it is in none of its states: somebody else has made or altered it.

    A flag, as the votes of several properties are joined by AND, and those of several states by OR.
    """

    NEITHER = 0
    DONE = enum.auto()
    UNDONE = enum.auto()
    EITHER = DONE | UNDONE


@dataclass(frozen=True, slots=True)
class TwinStep:
    """One statement as it went on the twin; or a whole block, if changes are read once a block.

    - `index` is that of the statement in its block.
    - `changes` has the objects that it changed, each with its states before and after.
    - `work` is what it does besides.
    - `lenient` are the objects that it leaves alone if they exist (IF NOT EXISTS).
    - `replaced` are those that it puts in the place of others (OR REPLACE), even of the same.
    - `in_unnamed_partitions` are partitions that code makes, as one for each day, and their parts:
      the target may have others by now.
    """

    block: str
    index: int
    changes: Mapping[Object, Change]
    work: Work = Work.NONE
    lenient: frozenset[Object] = frozenset()
    replaced: frozenset[Object] = frozenset()
    in_unnamed_partitions: frozenset[Object] = frozenset()


@dataclass(frozen=True, slots=True)
class Deviation:
    """An object of the target with properties that no statement gives it. `expected` is its state
    after the last statement that does not drop it.
    """

    object: Object
    properties: frozenset[str]
    expected: State
    found: State


class _Gone(enum.Enum):
    """Stands for each property of an object that does not exist: None is a value of properties."""

    GONE = "gone"


_ITSELF = ""  # stands among the names of properties for the object itself
# What says how far NOT NULL holds: whoever sets that sets this, too.
_WITH_NOT_NULL = frozenset({"not null option"})
# What a column that IF NOT EXISTS leaves alone may have of its own.
_LEFT_ALONE = frozenset({"default", "not null", "not null constraint", "not null option"})


class Timeline:
    """All statements in order, with the states of the objects that they set, beside the target's.
    Statements are counted from 1; 0 is before the first.
    """

    def __init__(self, steps: Sequence[TwinStep], found: Mapping[Object, Definition]) -> None:
        """`found` are the target's objects."""
        self.steps = steps
        self.found = found
        self.lenient: set[Object] = set()  # what IF NOT EXISTS leaves alone
        replaced: set[Object] = set()
        # by object: from which statement on it is in which state
        self._states: dict[Object, list[tuple[int, State]]] = {}
        for number, step in enumerate(steps, start=1):
            self.lenient |= step.lenient
            replaced |= step.replaced
            for each, (before, after) in step.changes.items():
                self._states.setdefault(each, [(0, before)]).append((number, after))
        for each in replaced:
            self._begin_without(each)

    def _begin_without(self, each: Object) -> None:
        """Take an object for absent at first, if OR REPLACE found it in a state that a block gives
        it.
        """
        # It is not cleared away on the twin, as the target may have had one before the blocks. But
        # if it looks as a block makes it, the block may have made it on the target, too.
        (_, before), *later = self._states[each]
        if before in [state for _, state in later]:
            self._states[each][0] = (0, None)

    def __contains__(self, each: object) -> bool:
        return each in self._states

    def __iter__(self) -> Iterator[Object]:
        return iter(self._states)

    def first(self, each: Object) -> State:
        """Return the state before the first statement."""
        return self._states[each][0][1]

    def after(self, number: int, each: Object) -> State:
        """Return the state after a statement."""
        return [state for begin, state in self._states[each] if begin <= number][-1]

    def votes(self, number: int, done: int = 0) -> dict[Object, Vote]:
        """Return the vote of each object that a statement sets. The statements up to `done` are
        known to be done: states that ended with one of them do not count.
        """
        step = self.steps[number - 1]
        votes = {}
        for each, change in step.changes.items():
            if _is_only_moved(*change):
                continue
            vote = self._vote(number, each, done)
            # once a statement is done, the partitions of then may be gone, or others there
            passed = Vote.DONE not in vote and each in step.in_unnamed_partitions
            if not (passed and number <= self._last_done):
                votes[each] = vote
        return votes

    @cached_property
    def _last_done(self) -> int:
        """The last statement that an object shows to be done, other than partitions that no block
        names; 0 if there is none.
        """
        for number in range(len(self.steps), 0, -1):
            step = self.steps[number - 1]
            for each in step.changes.keys() - step.in_unnamed_partitions:
                if each in self.found and self._vote(number, each, 0) is Vote.DONE:
                    return number
        return 0

    def _vote(self, number: int, each: Object, done: int) -> Vote:
        # If one property says done and another one undone, the object was never as it is now: the
        # two have no vote in common, which is NEITHER.
        vote = Vote.EITHER
        for name in self._properties_set(number, each):
            vote &= self._vote_of_property(number, each, name, done)
        return vote

    def _properties_set(self, number: int, each: Object) -> frozenset[str]:
        """Return the properties that a statement sets. If it makes or drops the object, that is
        every property which the object has in any state.
        """
        states = [state for begin, state in self._states[each] if begin <= number]
        before, after = states[-2:]
        if before is not None and after is not None:
            differing = different_properties(before, after)
            return differing | _WITH_NOT_NULL if "not null" in differing else differing
        names = {_ITSELF}
        for state in (*(state for _, state in self._states[each]), self.found.get(each)):
            if state is not None:
                names |= state.properties.keys()
        return frozenset(names - {PLACE})

    def _vote_of_property(self, number: int, each: Object, name: str, done: int) -> Vote:
        now = _value(self.found.get(each), name)
        states = self._states[each]
        # each state lasts until the statement that begins the next one
        ends = [begin for begin, _ in states[1:]] + [len(self.steps) + 1]
        vote = Vote.NEITHER
        for (begin, state), end in zip(states, ends, strict=True):
            if end <= done or _value(state, name) != now:
                continue
            if end > number:
                vote |= Vote.DONE
            if begin < number:
                vote |= Vote.UNDONE
        if vote is Vote.NEITHER and each in self.lenient and name in _LEFT_ALONE:
            return Vote.EITHER
        return vote

    def deviation(self, each: Object) -> Deviation:
        """Return how the target's object differs from its state after the last statement that does
        not drop it.
        """
        found = self.found.get(each)
        states = [state for _, state in self._states[each] if state is not None]
        expected = states[-1] if states else None
        if expected is None or found is None:
            return Deviation(each, frozenset(), expected, found)
        return Deviation(each, different_properties(expected, found), expected, found)


def _is_only_moved(before: State, after: State) -> bool:
    """Whether a column is as it was, at another place of its table."""
    if before is None or after is None or before != after:
        return False
    return before.properties.get(PLACE) != after.properties.get(PLACE)


def _value(state: State, name: str) -> object:
    if state is None:
        return _Gone.GONE
    return name == _ITSELF or state.properties.get(name)


def different_properties(one: Definition, other: Definition) -> frozenset[str]:
    """Return the names of the properties in which two definitions differ."""
    names = (one.properties.keys() | other.properties.keys()) - {PLACE}
    return frozenset(n for n in names if one.properties.get(n) != other.properties.get(n))
