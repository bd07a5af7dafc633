"""Counts what the objects on a target say of each statement of the pending blocks: whether it was
done there. Knows no server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Object
from pgrunbook.planning.timeline import Deviation, Timeline, TwinStep, Vote


@dataclass(frozen=True, slots=True)
class Trial:
    """A pending block on the twin.

    - `statements` is how many it has; `numbers` are those of its steps in the timeline.
    - `by_hand`: the parameter `adopt` names it. It has no steps if it fails.
    - `tried` is False for a block behind one that failed.
    - `failure` is what PostgreSQL said of the statement that failed. The block was rolled back, and
      has no steps.
    - `catalog_written` is a system catalog whose rows the block changes, which the twin left out.
    """

    block: str
    statements: int
    numbers: Sequence[int] = ()
    by_hand: bool = False
    tried: bool = True
    failure: Problem | None = None
    catalog_written: str = ""


@dataclass(slots=True)
class Count:
    """What the target's objects say of a block.

    - `named` are its objects that exist on the target, by their names alone.
    - `votes` has a vote for each of its statements, by the index; None for one that sets nothing.
    - `steps` has the statements as they went on the twin, by the index.
    - `there` are its objects that are as the block makes them.
    - `deviations` are those that are as no statement makes them.
    """

    trial: Trial
    named: Sequence[str]
    votes: dict[int, Vote | None] = field(default_factory=dict)
    steps: dict[int, TwinStep] = field(default_factory=dict)
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


def count_votes(trial: Trial, timeline: Timeline, named: Sequence[str]) -> Count:
    """Count what the target's objects say of each statement of a block."""
    count = Count(trial, named)
    if trial.by_hand:
        for number in trial.numbers:
            step = timeline.steps[number - 1]
            count.steps[step.index] = step
            count.votes[step.index] = Vote.DONE
        return count
    deviating: set[Object] = set()
    for number in trial.numbers:
        step = timeline.steps[number - 1]
        votes = timeline.votes(number)
        vote = _vote_of_step(step, votes)
        count.steps[step.index] = step
        count.votes[step.index] = vote
        count.there += [each for each, of_object in votes.items() if of_object is Vote.DONE]
        if vote is not Vote.NEITHER:
            continue
        # A statement does all or nothing: what is undone beside what is done deviates, too.
        wrong = {Vote.NEITHER}
        if Vote.DONE in votes.values():
            wrong.add(Vote.UNDONE)
        for each, of_object in votes.items():
            if of_object in wrong and each not in deviating:
                deviating.add(each)
                count.deviations.append(timeline.deviation(each))
    return count


def _vote_of_step(step: TwinStep, votes: Mapping[Object, Vote]) -> Vote | None:
    """Return the vote of a statement, by the votes of the objects that it sets; None if it sets
    none.
    """
    if not votes:
        return None
    together = Vote.EITHER
    for vote in votes.values():
        together &= vote
    if together is not Vote.NEITHER or Vote.NEITHER in votes.values():
        return together
    # Some are done and others are not. The statement can run again if IF NOT EXISTS leaves alone
    # all that are done.
    for each, vote in votes.items():
        if vote is Vote.DONE and each not in step.lenient:
            return Vote.NEITHER
    return Vote.UNDONE


def blame_first_setter(counts: Sequence[Count]) -> None:
    """Keep each deviation with the first block that sets the object, and drop it from the others:
    they could not find the object as they need it.
    """
    blamed: set[Object] = set()
    for count in counts:
        count.deviations = [each for each in count.deviations if each.object not in blamed]
        blamed |= {deviation.object for deviation in count.deviations}
        for index, vote in count.votes.items():
            if vote is Vote.NEITHER and not count.deviations:
                count.votes[index] = Vote.EITHER


def last_done(counts: Sequence[Count], timeline: Timeline) -> int:
    """Return the place of the last block that something shows to be done; -1 if there is none.
    Blocks are applied in order, so those before it were done, too. Counts the votes of the blocks
    behind it anew.
    """
    last = max((place for place, count in enumerate(counts) if count.evident), default=-1)
    if last >= 0:
        _decide_behind_done(counts[last], timeline)
    # An object may be before a block as it is again after a later one. Once blocks are known to be
    # done, how it was before them says nothing any more, and an undecided vote may turn.
    for place, count in enumerate(counts[last + 1 :], start=last + 1):
        done = last_number(counts[: last + 1])
        for number in count.trial.numbers:
            step = timeline.steps[number - 1]
            if count.votes[step.index] is Vote.EITHER:
                again = _vote_of_step(step, timeline.votes(number, done))
                count.votes[step.index] = again or Vote.EITHER
        if count.evident:
            last = place
    return last


def _decide_behind_done(count: Count, timeline: Timeline) -> None:
    """Count undecided votes of a block's statements anew, once others before them are known to be
    done: what one of these has made and is not there, a later one has dropped.
    """
    done = 0
    for number in count.trial.numbers:
        step = timeline.steps[number - 1]
        vote = count.votes[step.index]
        if vote is Vote.UNDONE:
            return
        if vote is Vote.EITHER and done:
            vote = _vote_of_step(step, timeline.votes(number, done)) or Vote.EITHER
            count.votes[step.index] = vote
        if vote is Vote.DONE:
            done = number


def why_not_told(counts: Sequence[Count], block: str) -> str:
    """Return why a difference of what a block makes may be no difference: it, or one behind it,
    changes rows of a system catalog, and the twin left that out. Empty if none does.
    """
    reached = False
    for count in counts:
        reached = reached or count.block == block
        if reached and count.trial.catalog_written:
            return (
                f"{count.block} writes to {count.trial.catalog_written}, which takes a superuser, "
                "and so was left out on the twin"
            )
    return ""


def last_number(counts: Sequence[Count]) -> int:
    """Return the number of the last statement of these blocks, 0 if they have none."""
    return max((max(count.trial.numbers, default=0) for count in counts), default=0)


def first_absent(counts: Sequence[Count]) -> str:
    """Return the name of the first of these blocks of which something is absent; empty if all are
    there.
    """
    for count in counts:
        failed = not count.trial.tried or count.trial.failure
        if Vote.UNDONE in count.votes.values() or (failed and not count.named):
            return count.block
    return ""
