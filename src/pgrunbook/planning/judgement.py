"""What to do with blocks that the ledger lacks and the target may have: judged by what each of
their statements made on the twin. Knows no server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Definition, Inventory, Object
from pgrunbook.planning import deviations
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.timeline import Deviation, Step, Timeline, Vote, Work


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do with a block, and why: `statements` are the indexes of those to run, `there` what
    of it the target has as it is to be.
    """

    action: Action
    statements: tuple[int, ...] = ()
    reason: str = ""
    problems: tuple[Problem, ...] = ()
    there: Mapping[Object, Definition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """A pending block on the twin: how its statements went, by their numbers in the timeline.

    `by_hand`: it was said to be done, and was not tried; `failure`: what PostgreSQL said of the
    statement that failed, after which no other was tried, and `sqlstate` the code of that.
    """

    block: str
    statements: int
    numbers: Sequence[int] = ()
    by_hand: bool = False
    tried: bool = True
    failure: Problem | None = None
    sqlstate: str = ""


@dataclass(slots=True)
class Count:
    """The votes of a block's statements, by their indexes: None of one that has set nothing.
    `named` are its objects that are there by name; `there`, those that are as they were made.
    """

    trial: Trial
    named: Sequence[str]
    votes: dict[int, Vote | None] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    deviations: list[Deviation] = field(default_factory=list)
    there: list[Object] = field(default_factory=list)

    @property
    def block(self) -> str:
        """Its name."""
        return self.trial.block

    @property
    def evident(self) -> bool:
        """Whether something shows that the block, or a part of it, was done."""
        return self.trial.by_hand or Vote.DONE in self.votes.values()


def judge(
    trials: Sequence[Trial],
    timeline: Timeline,
    target: Inventory,
    named: Mapping[str, Sequence[str]],
    before: str,
    adopt: str,
    expected: Collection[Object] = (),
) -> dict[str, Judgement]:
    """Judge each block. `named`: what is there of each by name; `before`: what was done of the
    block before the first, `adopted` or `applied`, empty if nothing was; `adopt` is the run's
    parameter; `expected`, what the ledger expects.
    """
    counts = [_counted(trial, timeline, named.get(trial.block, ())) for trial in trials]
    _blame(counts)
    last = _last(counts, timeline)
    told = _Told(
        counts,
        timeline,
        last,
        adopting=before == "adopted" or last >= 0,
        nothing_by_hand=adopt.strip() == NONE,
        applying=before == "applied" and last < 0,
    )
    reached = [n for n, count in enumerate(counts) if count.deviations or n <= last]
    done = _done(counts[: max(reached, default=-1) + 1])
    tables = deviations.Tables(timeline, target, expected, done)
    return {
        count.block: _beside(judgement, count, tables)
        for count, judgement in zip(counts, told.judgements(), strict=True)
    }


NONE = "none"  # what the parameter adopt says where no block was done by hand


def _counted(trial: Trial, timeline: Timeline, named: Sequence[str]) -> Count:
    """The votes of what each statement has set, together."""
    count = Count(trial, named)
    for number in trial.numbers:
        step = timeline.steps[number - 1]
        votes = timeline.votes(number)
        together = _together(step, votes)
        count.steps[step.index], count.votes[step.index] = step, together
        count.there += [each for each, vote in votes.items() if vote is Vote.DONE]
        wrong = {Vote.NEITHER, Vote.UNDONE} if Vote.DONE in votes.values() else {Vote.NEITHER}
        lacking = [each for each, vote in votes.items() if vote in wrong]
        lacking = lacking if together is Vote.NEITHER else []
        known = {deviation.object for deviation in count.deviations}
        count.deviations += [timeline.deviation(each) for each in lacking if each not in known]
    return count


def _together(step: Step, votes: Mapping[Object, Vote]) -> Vote | None:
    """The vote of a statement. What IF NOT EXISTS leaves alone does not keep it from running
    again.
    """
    if not votes:
        return None
    together = Vote.EITHER
    for vote in votes.values():
        together &= vote
    if together is not Vote.NEITHER or Vote.NEITHER in votes.values():
        return together
    kept = all(each in step.lenient for each, vote in votes.items() if vote is Vote.DONE)
    return Vote.UNDONE if kept else Vote.NEITHER


def _blame(counts: Sequence[Count]) -> None:
    """Leave what deviates to the first block that sets it: the others only come by it."""
    blamed: set[Object] = set()
    for count in counts:
        count.deviations = [each for each in count.deviations if each.object not in blamed]
        blamed |= {deviation.object for deviation in count.deviations}
        for index, vote in count.votes.items():
            if vote is Vote.NEITHER and not count.deviations:
                count.votes[index] = Vote.EITHER


def _last(counts: Sequence[Count], timeline: Timeline) -> int:
    """The place of the last block that shows that it was done, -1 if none does.

    An object may be before a block as it is again after a later one. How it was before blocks that
    are done says nothing any more.
    """
    last = max((n for n, count in enumerate(counts) if count.evident), default=-1)
    for place, count in enumerate(counts[last + 1 :], start=last + 1):
        done = _done(counts[: last + 1])
        for number in count.trial.numbers:
            step = timeline.steps[number - 1]
            if count.votes[step.index] is Vote.EITHER:
                again = _together(step, timeline.votes(number, done))
                count.votes[step.index] = again or Vote.EITHER
        last = place if count.evident else last
    return last


def _done(counts: Sequence[Count]) -> int:
    """The number of the last statement of these."""
    return max((number for count in counts for number in count.trial.numbers), default=0)


@dataclass(slots=True)
class _Told:
    """Goes through the blocks in order. `last` is the last that shows that it was done: those
    before it that show nothing were done, too.
    """

    counts: Sequence[Count]
    timeline: Timeline
    last: int
    adopting: bool
    nothing_by_hand: bool
    applying: bool = False  # a block before is applied, or is gone on with

    def judgements(self) -> Iterator[Judgement]:
        """The judgement of each."""
        for place, count in enumerate(self.counts):
            judgement = self._of(place, count)
            self.applying |= judgement.action in (Action.APPLY, Action.COMPLETE)
            kept = self._kept(judgement, count)
            yield replace(judgement, there={each: self.timeline.found[each] for each in kept})

    def _kept(self, judgement: Judgement, count: Count) -> list[Object]:
        """What of a block must stay as it is until the ledger has the block."""
        done = count.there
        if judgement.action is Action.ADOPT:
            done = [each for step in count.steps.values() for each in step.changes]
        return [each for each in dict.fromkeys(done) if each in self.timeline.found]

    def _of(self, place: int, count: Count) -> Judgement:
        everything = tuple(range(count.trial.statements))
        if count.trial.by_hand:
            return Judgement(Action.ADOPT, reason="done by hand, as the parameter adopt says")
        if not count.trial.tried or count.trial.failure:
            return self._untried(count, everything)
        if count.deviations:
            return _refused(count, count.deviations)
        votes = set(count.votes.values())
        if Vote.DONE in votes and Vote.UNDONE in votes:
            return self._completed(count)
        if Vote.DONE in votes:
            return self._identical(place, count)
        if Vote.UNDONE in votes:
            if place < self.last and (replaced := self._replaced(count)):
                return _refused(count, replaced)
            return Judgement(Action.APPLY, everything, "absent")
        return self._silent(place, count, everything)

    def _untried(self, count: Count, everything: tuple[int, ...]) -> Judgement:
        """A block that fails on the twin, or comes after one that does."""
        if not count.named:
            return Judgement(Action.APPLY, everything, "absent")
        first = next(each.trial for each in self.counts if each.trial.failure)
        assert first.failure
        there = f"there already: {', '.join(count.named)}"
        problem = replace(first.failure, remedy=_TELL.format(first.block))
        if count.trial is not first:
            what = f"cannot be judged: {first.block}, before it, fails on the twin"
            remedy = _TELL.format(f"{first.block},{count.block}")
            problem = Problem(what, count.block, found=there, remedy=remedy)
        return Judgement(Action.REFUSE, (), there, (problem,))

    def _completed(self, count: Count) -> Judgement:
        done = max(index for index, vote in count.votes.items() if vote is Vote.DONE)
        undone = min(index for index, vote in count.votes.items() if vote is Vote.UNDONE)
        for index in range(done + 1, undone):
            if count.steps[index].work is Work.ROWS:
                return _cannot_tell(count, f"statement {index + 1}")
        run = [i for i, vote in count.votes.items() if vote is Vote.UNDONE or i > done]
        return Judgement(Action.COMPLETE, tuple(run), f"there already: {', '.join(_there(count))}")

    def _identical(self, place: int, count: Count) -> Judgement:
        """A block of which all is there that the catalog tells. Rows that it writes behind that may
        lack, unless a later block is there; which statements write them is known only once each was
        looked at by itself.
        """
        done = max(index for index, vote in count.votes.items() if vote is Vote.DONE)
        apart = len(count.steps) == count.trial.statements
        behind = tuple(index for index in count.steps if index > done or not apart)
        written = [index for index in behind if count.steps[index].work is Work.ROWS]
        if place < self.last or not written:
            return Judgement(Action.ADOPT, reason="identical")
        if self.nothing_by_hand:
            there = f"there already: {', '.join(_there(count))}"
            return Judgement(Action.COMPLETE, behind, there)
        return _cannot_tell(count, f"statement {written[0] + 1}")

    def _silent(self, place: int, count: Count, everything: tuple[int, ...]) -> Judgement:
        """A block of which the catalog does not tell whether it was done."""
        works = {step.work for step in count.steps.values()}
        if place < self.last:
            return Judgement(Action.ADOPT, reason="a later block is there")
        if not self.applying and Work.ROWS in works and self.adopting and not self.nothing_by_hand:
            return _cannot_tell(count, "it")
        if self.applying or Work.ROWS in works or works == {Work.UPKEEP}:
            return Judgement(Action.APPLY, everything, "not done yet")
        if Vote.EITHER in count.votes.values() and self._goes_on(place):
            # As it is now, it is before the block, and again when a later one has undone it.
            return Judgement(Action.APPLY, everything, "not done yet")
        return Judgement(Action.ADOPT, reason="changes nothing that is there")

    def _goes_on(self, place: int) -> bool:
        """Whether a block behind this one is not done."""
        return any(Vote.UNDONE in count.votes.values() for count in self.counts[place + 1 :])

    def _replaced(self, count: Count) -> list[Deviation]:
        """What OR REPLACE would put in the place of something that no block has made, though a
        later block shows that this one was done.
        """
        steps = [count.steps[i] for i, vote in count.votes.items() if vote is Vote.UNDONE]
        objects = [each for step in steps for each in step.changes if each in step.replaced]
        return [self.timeline.deviation(each) for each in objects]


_TELL = "say which blocks were done by hand: -p adopt {0}; or, if none was, -p adopt none"


def _cannot_tell(count: Count, which: str) -> Judgement:
    problem = Problem(
        f"cannot be told: {which} leaves no trace in the catalog, and what comes before was done "
        "by hand",
        where=count.block,
        expected="to know whether it was done by hand, too",
        remedy=_TELL.format(count.block),
    )
    return Judgement(Action.REFUSE, (), "cannot be told", (problem,))


def _refused(count: Count, found: Sequence[Deviation]) -> Judgement:
    problems = tuple(deviations.problem(each, count.block) for each in found)
    return Judgement(Action.REFUSE, (), "there in another shape", problems)


def _there(count: Count) -> tuple[str, ...]:
    """What is there of it; of a table that is, not each column."""
    whole = [each for each in count.there if not each.type.endswith(" column")] or count.there
    return tuple(dict.fromkeys(f"{each.type} {each.identity}" for each in whole))


def _beside(judgement: Judgement, count: Count, tables: deviations.Tables) -> Judgement:
    """Refuse what the target has besides on the tables that a block makes."""
    if judgement.action is Action.APPLY or count.trial.by_hand:
        return judgement
    problems = tuple(tables.problems(count.block))
    if not problems:
        return judgement
    together = (*judgement.problems, *problems)
    return replace(
        judgement,
        action=Action.REFUSE,
        statements=(),
        reason="there in another shape",
        problems=together,
    )
