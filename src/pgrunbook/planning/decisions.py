"""Decides what to do with each block, by what the ledger says of it and by what is there."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger.drift import Drift
from pgrunbook.ledger.ledger import Entry
from pgrunbook.runbooks.blocks import Block, source_sha256, tree_sha256
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.scripts import Script, Statement
from pgrunbook.sqltext.created_objects import RELATIONS
from pgrunbook.sqltext.things import freed_names

if TYPE_CHECKING:  # which import this module
    from pgrunbook.planning.judgement import Judgement
    from pgrunbook.planning.remains import Remains


class Action(enum.StrEnum):
    """What a run does with a block."""

    APPLY = "apply"  # nothing of it is there
    # some of its objects are there as they should be, the others are not there
    COMPLETE = "complete"
    ADOPT = "adopt"  # all of it is there, made by something else: recorded, no DDL
    SKIP = "skip"  # applied before, unchanged since
    REVERT = "revert"  # applied before: to be undone
    REFUSE = "refuse"  # in another shape, or altered since it was applied


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one block, and why. To revert, the block is that of the revert script.

    - `statements` are the indexes of those to run, in order.
    - `repairs` are statements to run before them: they drop what an earlier run has left half done.
    - `revision` is the number of rows that the ledger has on the block.
    - `kept` are the objects or facts that were there before the block was first applied: a revert
      must not take them away.
    - `wanted` has the objects that must be there once the block is done, with their definitions: of
      those that are there already, the one that they have now; of a revert, the one from before.
    - `expected` has, of the objects that somebody has altered, the definitions that the ledger
      expected: a revert script may put those back.
    """

    block: Block
    action: Action
    reason: str
    statements: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    repairs: tuple[str, ...] = ()
    revision: int = 0
    kept: frozenset[tuple[str, ...]] = frozenset()
    wanted: Mapping[Object, Definition | None] = field(default_factory=dict)
    expected: Mapping[Object, Definition | None] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """Exactly what is to run: the block as it is written, if all of its statements are."""
        if len(self.statements) == len(self.block.statements) and not self.repairs:
            return self.block.sql
        missing = [each.sql for each in self.pending_statements]
        return "\n".join(f"{sql};" for sql in [*self.repairs, *missing])

    @property
    def pending_statements(self) -> list[Statement]:
        """The statements that are to run, in order."""
        return [self.block.statements[n] for n in self.statements]

    @property
    def pending(self) -> bool:
        """Whether DDL is to run."""
        return self.action in (Action.APPLY, Action.COMPLETE, Action.REVERT)

    @property
    def event(self) -> str:
        """The event that is written into the ledger once it is done."""
        return {Action.ADOPT: "adopted", Action.REVERT: "reverted"}.get(self.action, "applied")


def decide_unable(block: Block) -> Decision:
    """Decide about a block that the target cannot take."""
    return Decision(block, Action.REFUSE, "the target cannot take it", problems=block.problems)


def decide_admitting(block: Block, found: Facts, entry: Entry | None) -> Decision:
    """Decide about a block that lets columns accept a value, by what holds of them now."""
    missing = block.facts.keys() - found.keys()
    decided = Decision(
        block,
        Action.ADOPT,
        "identical" if block.sql else block.why,
        revision=_next_revision(entry),
        kept=frozenset(fact for fact in block.facts if fact in found),
    )
    if not missing and (block.facts or not block.sql):
        return decided
    everything = tuple(range(len(block.statements)))
    return replace(decided, action=Action.APPLY, reason="absent", statements=everything)


def decide_begun(
    block: Block,
    left: Remains,
    there: Mapping[Object, Definition],
    entry: Entry | None,
    names: Mapping[str, Mapping[str, Any]],
    judgement: Judgement | None = None,
) -> Decision:
    """Decide about a block outside a transaction that was begun and not finished: so the ledger
    says, or something of it is half done.

    - `left` is what is left to do of it.
    - `there` are its indexes that exist and are valid.
    - `names` are rows of the catalog query `relations`, see `taken_names`.
    - `judgement` is the twin's, if it was asked.
    """
    problems = left.problems or tuple(taken_names(block, names))
    if judgement and judgement.action is Action.REFUSE:
        problems = problems or judgement.problems
    if problems:
        return Decision(block, Action.REFUSE, "there in another shape", problems=tuple(problems))
    reasons: list[str] = []
    kept: frozenset[tuple[str, ...]] = frozenset()
    if entry and entry.broken_off:
        reasons.append(f"{entry.event} by run {entry.run_id[:8]} and not finished")
        kept = entry.kept
    if there:
        reasons.append(f"there already: {', '.join(map(str, there))}")
    if left.broken:
        reasons.append(f"left half done: {', '.join(left.broken)}")
    return Decision(
        block,
        Action.COMPLETE,
        "; ".join(reasons),
        left.statements,
        repairs=left.repairs,
        revision=_next_revision(entry),
        kept=kept,
        wanted=there,
    )


def decide_judged(
    block: Block,
    judgement: Judgement,
    entry: Entry | None,
    names: Mapping[str, Mapping[str, Any]],
) -> Decision:
    """Decide about a block that the ledger lacks, as the twin has judged it."""
    problems = judgement.problems
    if judgement.action is Action.REFUSE:
        # That the names are taken says it better, if that is the reason.
        problems = tuple(taken_names(block, names)) or problems
    return Decision(
        block,
        judgement.action,
        judgement.reason,
        judgement.statements,
        problems,
        revision=_next_revision(entry),
        kept=frozenset(judgement.there),
        wanted=judgement.there,
    )


def _next_revision(entry: Entry | None) -> int:
    return entry.revision + 1 if entry else 0


def decide_recorded(
    block: Block, found: Facts, entry: Entry, drifted: Sequence[Problem] = ()
) -> Decision:
    """Decide about a block that the ledger has as done. `drifted` has a problem for each object
    that the block was the last to set, and that is not as it left it.
    """
    edited = is_edited(block.scripts, entry)
    if block.repeatable and not drifted and edited:
        again = tuple(range(len(block.statements)))
        reason = f"repeatable, and edited since it was {entry.event}"
        return Decision(block, Action.APPLY, reason, again, revision=entry.revision + 1)
    problems: list[Problem] = []
    if edited:
        by = f"run {entry.run_id[:8]}, {entry.finished_at:%Y-%m-%d}"
        problems.append(
            Problem(
                f"the file was edited after it was {entry.event}",
                where=block.name,
                expected=f"sha256 {entry.source_sha256} ({by})",
                found=f"sha256 {block.source_sha256}",
                remedy="restore the file, and make the change in a new block or a new runbook",
            )
        )
    problems += drifted
    if block.admits:
        problems += altered_facts(entry, found)
    if problems:
        return Decision(
            block, Action.REFUSE, f"altered since it was {entry.event}", problems=tuple(problems)
        )
    return Decision(block, Action.SKIP, entry.when)


def keep(decision: Decision, kept: Sequence[Drift]) -> Decision:
    """Return the decision, so that the ledger takes over with the block what somebody has altered
    and what is to stay so: the block's header `keeps` names it.
    """
    if not kept or decision.action is Action.REFUSE:
        return decision
    by_hand = {each.object for each in kept if each.expected is None}
    return replace(
        decision,
        reason=f"{decision.reason}; keeps as found: {', '.join(str(e.object) for e in kept)}",
        kept=decision.kept | by_hand,
        wanted={**decision.wanted, **{each.object: each.found for each in kept}},
        expected={each.object: each.expected for each in kept},
    )


def refuse_touched(decision: Decision, drifted: Sequence[Drift]) -> Decision:
    """Return the decision, or to refuse the block: it alters what has `drifted`, which would be
    overwritten, or built on unseen.
    """
    if not drifted:
        return decision
    problems = []
    for each in drifted:
        what = f"alters what was altered by hand: {each.problem.what}; {each.origin}"
        problems.append(replace(each.problem, what=what, where=decision.block.name))
    reason = "alters what somebody has altered"
    return Decision(decision.block, Action.REFUSE, reason, problems=tuple(problems))


def is_edited(files: Sequence[Script], entry: Entry) -> bool:
    """Whether a block's files differ from those that the ledger has, by more than comments and
    white space. A digest of their parse trees tells.
    """
    return source_sha256(files) != entry.source_sha256 and tree_sha256(files) != entry.tree_sha256


def altered_facts(entry: Entry, found: Facts) -> Iterator[Problem]:
    """Yield a problem for each fact that the ledger has of a column that accepts a value, and that
    does not hold any more.
    """
    for fact, value in entry.facts.items():
        if found.get(fact) != value:
            yield Problem(
                f"{fact} was {entry.event} and then altered",
                where=entry.block,
                expected=value,
                found=found.get(fact, "absent"),
                remedy="bring the database back to the expected shape by hand, then run again; "
                "nothing is overwritten",
            )


def given_names(blocks: Sequence[Block]) -> list[str]:
    """Return the names that these blocks give to objects, but for those that one of them frees, by
    DROP or RENAME, itself or with its table: what has such a name now is in nobody's way.
    """
    given: set[tuple[str, str]] = set()  # each with the table that it is part of
    freed: set[str] = set()
    gone_along: set[tuple[str, str]] = set()
    for block in blocks:
        for statement in block.statements:
            gone = {name for name, _ in freed_names(statement.node)}
            if gone:  # of most statements nothing is
                freed |= gone
                gone_along |= {each for each in given if each[1] in gone}
            given |= {(each.name, each.parent) for each in statement.made}
    return sorted({name for name, _ in given - gone_along} - freed)


def taken_names(block: Block, names: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield a problem for each name that the block gives to a relation, and that another object
    has: one of another kind, or an index of another table. `names` are the rows of the catalog
    query `relations`, by name.
    """
    for each in block.made:
        row = names.get(each.name)
        if each.kind not in RELATIONS or each.was or row is None:
            continue
        kind = row["kind"].removeprefix("partitioned ")
        table = each.parent if each.kind == "index" else None
        if kind != each.kind or row["on_table"] != table:
            where = f" on table {row['on_table']}" if row["on_table"] else ""
            yield Problem(
                f"the name {each.name} is taken",
                where=block.name,
                expected="free",
                found=f"{row['kind']} {row['name']}{where}, owned by {row['owner']}",
                remedy="rename or drop what has the name, if nothing needs it",
            )


def frame(decisions: Sequence[Decision]) -> pd.DataFrame:
    """Return a row a block: index `block`; columns `title`, `decision`, `reason`, all str."""
    rows = [(d.block.name, d.block.title, str(d.action), d.reason) for d in decisions]
    columns = ["block", "title", "decision", "reason"]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index("block")
