"""Judges blocks that the ledger lacks and the target may have: what to do with each, by what its
statements made on the twin. Knows no server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Definition, Inventory, Object
from pgrunbook.planning import adopting, deviations
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.timeline import Deviation, Timeline, Vote, Work
from pgrunbook.planning.twin_limits import LIMITLESS, TwinLimits
from pgrunbook.planning.votes import (
    Count,
    Trial,
    blame_first_setter,
    count_votes,
    first_absent,
    last_done,
    last_number,
    why_not_told,
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do with a block, and why. `statements` are the indexes of those to run; `there` are
    the objects that the block makes, and that the target has as they are to be.
    """

    action: Action
    statements: tuple[int, ...] = ()
    reason: str = ""
    problems: tuple[Problem, ...] = ()
    there: Mapping[Object, Definition] = field(default_factory=dict)


def judge(
    trials: Sequence[Trial],
    timeline: Timeline,
    target: Inventory,
    named: Mapping[str, Sequence[str]],
    before: str,
    adopt: str,
    expected: Collection[Object] = (),
    limits: TwinLimits = LIMITLESS,
    absent: str = "",
) -> dict[str, Judgement]:
    """Judge each block. Returns the judgements by the blocks' names.

    - `trials` are the blocks in order, as they went on the twin.
    - `target` are the target's objects.
    - `named` has, by block, its objects that exist on the target by name.
    - `before` is the ledger's event of the block before the first one: `adopted`, `applied`, or
      empty if that was not done.
    - `adopt` is the run's parameter: the names of blocks that were done by hand, and `none` if no
      other was.
    - `expected` are the objects that the ledger expects.
    - `limits` says what the twin cannot show.
    - `absent` is a block that was absent as later ones were there, by the ledger.
    """
    counts = [count_votes(trial, timeline, named.get(trial.block, ())) for trial in trials]
    blame_first_setter(counts)
    last = last_done(counts, timeline)
    judged = _Judge(
        counts,
        timeline,
        last,
        limits,
        absent=first_absent(counts[: max(last, 0)]) or absent,
        adopting=before == "adopted" or last >= 0,
        nothing_by_hand=adopting.says_none(adopt),
        applying=before == "applied" and last < 0,
    ).judgements()
    # A block whose objects deviate was done, too, in another shape: the columns of a table are
    # compared as they are behind it.
    reached = last
    for place, count in enumerate(counts):
        if count.deviations:
            reached = max(reached, place)
    tables = deviations.Tables(timeline, target, expected, last_number(counts[: reached + 1]))
    judgements = {}
    for count, judgement in zip(counts, judged, strict=True):
        why_not = limits.of_block(count.block)
        judgements[count.block] = _with_extras(judgement, count, tables, why_not)
    return _without_guesses(judgements, counts)


IDLE = "changes nothing that is there"  # the reason to adopt a block that the catalog cannot show
# The reasons to adopt one that writes rows, or does so last: psql goes through its files in order.
ASSUMED = ("a later block is there", "identical, its rows too if a later block is there")


@dataclass(slots=True)
class _Judge:
    """Goes through the blocks in order.

    - `last` is the place of the last block that something shows to be done. Those before it that
      nothing shows were done, too, if the blocks were done in order: none before is absent.
    - `absent` is a block before that one which is not there as a whole, or was not; or empty.
    - `adopting`: blocks before these were done by hand, so these may have been.
    - `nothing_by_hand`: the parameter `adopt` says so.
    """

    counts: Sequence[Count]
    timeline: Timeline
    last: int
    limits: TwinLimits
    absent: str
    adopting: bool
    nothing_by_hand: bool
    applying: bool = False  # a block behind those that are there is applied or completed
    explained: bool = False  # a problem says what fails on the twin, and what to do: once is enough
    assumed: list[str] = field(default_factory=list)  # blocks that are adopted on an assumption

    def judgements(self) -> Iterator[Judgement]:
        """Yield the judgement of each block."""
        for place, count in enumerate(self.counts):
            judgement = self._judge(place, count)
            if place >= self.last:
                self.applying |= judgement.action in (Action.APPLY, Action.COMPLETE)
            if judgement.reason in ASSUMED:
                self.assumed.append(count.block)
            yield replace(judgement, there=self._there(judgement, count))

    def _there(self, judgement: Judgement, count: Count) -> dict[Object, Definition]:
        """Return the objects of a block that must stay as they are until the ledger has the block.
        An object that was there before all blocks, as a view of a table that is renamed, is not
        theirs.
        """
        objects = list(count.there)
        if judgement.action is Action.ADOPT:
            objects = []
            for step in count.steps.values():
                objects += step.changes.keys() - step.in_unnamed_partitions
        found = self.timeline.found
        made = [each for each in objects if self.timeline.first(each) is None]
        return {each: found[each] for each in made if each in found}

    def _judge(self, place: int, count: Count) -> Judgement:
        everything = tuple(range(count.trial.statements))
        if count.trial.by_hand:
            return Judgement(Action.ADOPT)
        if not count.trial.tried or count.trial.failure:
            return self._judge_untried(count, everything)
        if count.deviations:
            return self._refuse(count, count.deviations)
        votes = set(count.votes.values())
        # a vote of EITHER agrees with whatever the others say
        if Vote.DONE in votes and Vote.UNDONE in votes:
            return self._judge_partial(count)
        if Vote.DONE in votes:
            return self._judge_complete(place, count)
        if Vote.UNDONE in votes:
            replaced = self._foreign_replaced(count) if place < self.last else []
            if replaced:
                return self._refuse(count, replaced)
            return Judgement(Action.APPLY, everything, "absent")
        return self._judge_without_votes(place, count, everything)

    def _judge_untried(self, count: Count, everything: tuple[int, ...]) -> Judgement:
        """Judge a block that fails on the twin, or comes after one that does."""
        if not count.named:
            return Judgement(Action.APPLY, everything, "absent")
        if self.nothing_by_hand:
            reason = "not done by hand, as the parameter adopt says"
            return Judgement(Action.APPLY, everything, reason)
        first = next(each.trial for each in self.counts if each.trial.failure)
        assert first.failure
        there = f"there already: {', '.join(count.named)}"
        if count.trial is first:
            problem = replace(first.failure, remedy=self._remedy(first.block, first.block))
        else:
            problem = Problem(
                f"cannot be judged: {first.block}, before it, fails on the twin", count.block
            )
            if not self.explained:
                problem = replace(
                    problem,
                    found=f"{there}\n{first.failure.where} says: {first.failure.found}",
                    remedy=self._remedy(first.block, f"{first.block},{count.block}"),
                )
        self.explained = True
        return Judgement(Action.REFUSE, (), there, (problem,))

    def _remedy(self, failed: str, by_hand: str) -> str:
        """Return what to do about a block that fails on the twin.

        If a run has applied the blocks before it, hardly anything was done by hand: it is more
        likely that the block would fail on the target, too.
        """
        if not self.applying:
            return adopting.remedy(by_hand, self.named(), self.assumed)
        none = adopting.option([*self.named(), *self.assumed, adopting.NONE])
        done = adopting.option([*self.named(), by_hand])
        return (
            f"correct the SQL of {failed}, or bring what it needs to the target first; if the twin "
            f"alone lacks that: {none}; or if it was done by hand: {done}"
        )

    def named(self) -> list[str]:
        """Return the blocks that the parameter `adopt` names."""
        return [count.block for count in self.counts if count.trial.by_hand]

    def _judge_partial(self, count: Count) -> Judgement:
        """Judge a block of which some statements are done, and others are not."""
        done = max(index for index, vote in count.votes.items() if vote is Vote.DONE)
        undone = min(index for index, vote in count.votes.items() if vote is Vote.UNDONE)
        for index in range(done + 1, undone):
            if count.steps[index].work is Work.ROWS and not self.nothing_by_hand:
                return self._refuse_untold(count, f"statement {index + 1}")
        run = [i for i, vote in count.votes.items() if vote is Vote.UNDONE or i > done]
        return Judgement(Action.COMPLETE, tuple(run), _already(count))

    def _judge_complete(self, place: int, count: Count) -> Judgement:
        """Judge a block if all its objects are there."""
        # Rows that it writes after that may be missing, unless a later block is there, and none
        # before it is absent. Which statements write them is known only once the changes of each
        # were read.
        done = max(index for index, vote in count.votes.items() if vote is Vote.DONE)
        apart = len(count.steps) == count.trial.statements
        behind = tuple(index for index in count.steps if index > done or not apart)
        written = [index for index in behind if count.steps[index].work is Work.ROWS]
        if not written:
            return Judgement(Action.ADOPT, reason="identical")
        if self.nothing_by_hand:
            return Judgement(Action.COMPLETE, behind, _already(count))
        if place < self.last and not self.absent:
            return Judgement(Action.ADOPT, reason=ASSUMED[1] if apart else "identical")
        return self._refuse_untold(count, f"statement {written[0] + 1}")

    def _judge_without_votes(
        self, place: int, count: Count, everything: tuple[int, ...]
    ) -> Judgement:
        """Judge a block of which the catalog does not show whether it was done."""
        works = {step.work for step in count.steps.values()}
        writes = Work.ROWS in works
        doubtful = self.adopting and not self.applying
        if place < self.last:
            if not writes and works != {Work.UPKEEP}:
                return Judgement(Action.ADOPT, reason="leaves nothing, and a later block is there")
            if not self.absent and not self.nothing_by_hand:
                return Judgement(Action.ADOPT, reason=ASSUMED[0])
            doubtful = True
        if writes and doubtful and not self.nothing_by_hand:
            return self._refuse_untold(count, "it")
        if self.applying or writes or works == {Work.UPKEEP}:
            return Judgement(Action.APPLY, everything, "not done yet")
        if Vote.EITHER in count.votes.values() and self._has_undone_behind(place):
            # Its objects look now as before the block, and as after a later one that undoes it.
            # The later one is not done: so this one is not, either.
            return Judgement(Action.APPLY, everything, "not done yet")
        return Judgement(Action.ADOPT, reason=IDLE)

    def _refuse(self, count: Count, found: Sequence[Deviation]) -> Judgement:
        problems = []
        for each in found:
            why_not = self.limits.of(each, count.block) or why_not_told(self.counts, count.block)
            problems.append(deviations.problem(each, count.block, why_not))
        return Judgement(Action.REFUSE, (), _ANOTHER_SHAPE, tuple(problems))

    def _refuse_untold(self, count: Count, which: str) -> Judgement:
        what = f"cannot be told: {which} leaves no trace in the catalog, and "
        if self.absent and self.last >= 0:
            last = self.counts[self.last].block
            what += f"blocks were not done in order: {self.absent} was absent, {last} is there"
        else:
            what += "what comes before was done by hand"
        problem = Problem(
            what,
            where=count.block,
            expected="to know whether it was done by hand, too",
            remedy=adopting.remedy(count.block, self.named(), self.assumed),
        )
        return Judgement(Action.REFUSE, (), _UNTOLD, (problem,))

    def _has_undone_behind(self, place: int) -> bool:
        return any(Vote.UNDONE in count.votes.values() for count in self.counts[place + 1 :])

    def _foreign_replaced(self, count: Count) -> list[Deviation]:
        """Return what OR REPLACE would replace though no block has made it: a later block shows
        that this one was done, so somebody has altered the object since.
        """
        found = []
        for index, vote in count.votes.items():
            step = count.steps[index]
            if vote is Vote.UNDONE:
                found += [self.timeline.deviation(e) for e in step.changes if e in step.replaced]
        return found


_ANOTHER_SHAPE = "there in another shape"
_UNTOLD = "cannot be told"


def _already(count: Count) -> str:
    """Return the reason why a block is not applied as a whole."""
    # the columns are named only where no table is
    whole = [each for each in count.there if not each.type.endswith(" column")] or count.there
    names = dict.fromkeys(f"{each.type} {each.identity}" for each in whole)
    return f"there already: {', '.join(names)}"


def _with_extras(
    judgement: Judgement, count: Count, tables: deviations.Tables, why_not: str
) -> Judgement:
    """Refuse a block if its tables have something on the target that it does not make."""
    if judgement.action is Action.APPLY or count.trial.by_hand:
        return judgement
    problems = tuple(tables.problems(count.block, why_not))
    if not problems:
        return judgement
    return replace(
        judgement,
        action=Action.REFUSE,
        statements=(),
        reason=_ANOTHER_SHAPE,
        problems=(*judgement.problems, *problems),
    )


def _without_guesses(
    judgements: dict[str, Judgement], counts: Sequence[Count]
) -> dict[str, Judgement]:
    """Name no difference, and ask nothing, if a block fails on the twin: what that block makes is
    not known, and it may have altered what those before it make, or show that they were done.
    """
    failed = next((each.block for each in counts if each.trial.failure), "")
    explained = failed and bool(judgements[failed].problems)
    named = [each.block for each in counts if each.trial.by_hand]
    assumed = [block for block, each in judgements.items() if each.reason in ASSUMED]
    for block, judgement in judgements.items():
        if failed and judgement.reason in (_ANOTHER_SHAPE, _UNTOLD):
            problem = Problem(f"cannot be judged: {failed}, behind it, fails on the twin", block)
            if not explained:
                found = f"{judgement.reason}; a block behind may have altered it"
                remedy = adopting.remedy(failed, named, assumed)
                problem = replace(problem, found=found, remedy=remedy)
            explained = True
            judgements[block] = replace(judgement, problems=(problem,))
    return judgements
