"""What to do with each block: the shape that it makes, compared with the target and with the
ledger.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
from psycopg import sql

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger.ledger import Entry
from pgrunbook.runbooks.blocks import Block, source_sha256, tree_sha256
from pgrunbook.runbooks.scripts import Script
from pgrunbook.sqltext.shape import INVALID, OBJECTS, PENDING, Facts, Key, holds, relation_names

if TYPE_CHECKING:  # which imports this module
    from pgrunbook.planning.judgement import Judgement


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
    """What to do with one block, and why. `statements` are the indexes of those to run, in order.

    `repairs` are statements to run before them, which clear away what an earlier attempt has left.
    `revision` is the number of rows that the ledger has on the block; `kept` is what was there
    before it was first applied; `wanted` is what must be there once it is done: of what is there
    already what it is now, of what is undone what was before. To revert, the block is that of the
    revert script, and its facts are what it takes away.
    """

    block: Block
    action: Action
    reason: str
    statements: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    repairs: tuple[str, ...] = ()
    revision: int = 0
    kept: frozenset[Key] = frozenset()
    wanted: Mapping[Object, Definition | None] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """Exactly what is to run; the block as it is written where all of it is."""
        if len(self.statements) == len(self.block.statements) and not self.repairs:
            return self.block.sql
        return "\n".join(
            f"{sql};"
            for sql in [*self.repairs, *(self.block.statements[n].sql for n in self.statements)]
        )

    @property
    def pending(self) -> bool:
        """Whether DDL is to run."""
        return self.action in (Action.APPLY, Action.COMPLETE, Action.REVERT)

    @property
    def event(self) -> str:
        """What the ledger says once it is done."""
        return {Action.ADOPT: "adopted", Action.REVERT: "reverted"}.get(self.action, "applied")


def decide(
    block: Block,
    found: Facts,
    names: Mapping[str, str],
    entry: Entry | None,
    drifted: Sequence[Problem] = (),
) -> Decision:
    """Decide about one block. Reads nothing: what holds now is given.

    `found`: the facts of the tables concerned. `names`: what relations and types of the schema are
    called, each with a description (`view deals_open`). `entry`: the ledger's latest word on the
    block; `drifted`: what it was the last to set, and is not as it left it.
    """
    if block.problems:
        return Decision(block, Action.REFUSE, "the target cannot take it", problems=block.problems)
    if entry and entry.done:
        return _recorded(block, found, entry, drifted)
    begun = entry if entry and entry.broken_off else None
    broken = set(half_done(block, found, begun))
    sound = {key: value for key, value in found.items() if key not in broken}
    others = {
        name: what for name, what in names.items() if name not in {key.name for key in broken}
    }
    if problems := list(_conflicts(block, sound, others)):
        return Decision(block, Action.REFUSE, "there in another shape", problems=tuple(problems))
    if not block.known and not begun and any(key in sound for key in block.facts):
        return Decision(block, Action.REFUSE, "there in part", problems=(_untold(block, sound),))
    missing = {key for key in block.facts if key not in sound and not _settled(block, key, found)}
    revision = entry.revision + 1 if entry else 0
    if not missing and not begun and block.known and (block.facts or not block.sql):
        return Decision(
            block, Action.ADOPT, "identical" if block.sql else block.why, revision=revision
        )
    kept = begun.kept if begun else frozenset(key for key in block.facts if key in sound)
    run = tuple(
        n
        for n, effect in enumerate(block.effects)
        if not effect.facts or missing & effect.facts.keys()
    )
    there = [
        str(key)
        for key in block.facts
        if key.kind in OBJECTS and key in sound and key.kind != "column"
    ]
    reasons = [f"{begun.event} by run {begun.run_id[:8]} and not finished"] if begun else []
    reasons += [f"there already: {', '.join(there)}"] if there else []
    reasons += [f"left half done: {', '.join(map(str, sorted(broken)))}"] if broken else []
    decided = partial(Decision, block, statements=run, revision=revision, kept=kept)
    if reasons:
        indexes = [
            sql.Identifier(key.name).as_string() for key in sorted(broken) if key.kind == "index"
        ]
        repairs = tuple(f"DROP INDEX CONCURRENTLY {index}" for index in indexes)
        return decided(action=Action.COMPLETE, reason="; ".join(reasons), repairs=repairs)
    return decided(action=Action.APPLY, reason="absent" if block.facts else "not done yet")


def judged(
    block: Block, judgement: Judgement, entry: Entry | None, kept: frozenset[Key]
) -> Decision:
    """The decision about a block that the ledger lacks, as the twin has judged it; `kept` is what
    of it is there.
    """
    if block.problems:
        return Decision(block, Action.REFUSE, "the target cannot take it", problems=block.problems)
    return Decision(
        block,
        judgement.action,
        judgement.reason,
        judgement.statements,
        judgement.problems,
        revision=entry.revision + 1 if entry else 0,
        kept=kept,
        wanted=judgement.there,
    )


def _untold(block: Block, found: Facts) -> Problem:
    return Problem(
        "is there in part, and its text does not tell all that it makes",
        where=block.name,
        expected="all of it absent, so that it can be applied",
        found=", ".join(str(key) for key in block.facts if key in found),
        remedy="drop what is there, if nothing needs it; then run again",
    )


def half_done(block: Block, found: Facts, entry: Entry | None) -> Iterator[Key]:
    """What an attempt outside a transaction has left half done: ours of an earlier run, or
    another's of the same.

    An index that is not valid, a partition that is about to be detached, the copy that REINDEX
    CONCURRENTLY makes.
    """
    if block.transaction:
        return
    for key, there in found.items():
        expected = block.facts.get(key)
        copy = (
            entry
            and key.kind == "index"
            and there.endswith(INVALID)
            and re.search(r"_cc(new|old)\d*$", key.name)
        )
        if (expected and there in (expected + INVALID, PENDING)) or copy:
            yield key


def _settled(block: Block, key: Key, found: Facts) -> bool:
    """Whether a fact that is absent need not hold: a property of a column that IF NOT EXISTS left
    alone.
    """
    return (
        key in block.lenient
        and key.kind not in OBJECTS
        and Key("column", key.table, key.name) in found
    )


def _recorded(block: Block, found: Facts, entry: Entry, drifted: Sequence[Problem]) -> Decision:
    if block.repeatable and not drifted and edited(block.scripts, entry):
        again = tuple(range(len(block.statements)))
        reason = f"repeatable, and edited since it was {entry.event}"
        return Decision(block, Action.APPLY, reason, again, revision=entry.revision + 1)
    problems = [*_edited(block, entry), *drifted, *(altered(entry, found) if block.admits else ())]
    if problems:
        return Decision(
            block, Action.REFUSE, f"altered since it was {entry.event}", problems=tuple(problems)
        )
    return Decision(block, Action.SKIP, entry.when)


def edited(files: Sequence[Script], entry: Entry) -> bool:
    """Whether a block's files differ from those that were recorded, by more than comments and white
    space.
    """
    return source_sha256(files) != entry.source_sha256 and tree_sha256(files) != entry.tree_sha256


def _edited(block: Block, entry: Entry) -> Iterator[Problem]:
    if edited(block.scripts, entry):
        yield Problem(
            f"the file was edited after it was {entry.event}",
            where=block.name,
            expected=f"sha256 {entry.source_sha256} (run {entry.run_id[:8]}, "
            f"{entry.finished_at:%Y-%m-%d})",
            found=f"sha256 {block.source_sha256}",
            remedy="restore the file, and make the change in a new block or a new runbook",
        )


def altered(entry: Entry, found: Facts) -> Iterator[Problem]:
    """Facts recorded for the block that no longer hold, and what was added to a table that it
    made.
    """
    for key, recorded in entry.facts.items():
        if not holds(recorded, found.get(key)) and not _implied(key, entry.facts, found):
            yield _difference(
                key, recorded, found.get(key), entry.block, f"was {entry.event} and then altered"
            )
    yield from _extras(entry.facts, found, entry.block)


def _conflicts(block: Block, found: Facts, names: Mapping[str, str]) -> Iterator[Problem]:
    for effect in block.effects:
        begun = any(key in found for key in effect.facts if key.kind in OBJECTS)
        for key in effect.facts if begun else ():
            expected, there = effect.facts[key], found.get(key)
            left_alone = effect.lenient and (there is None or key.kind not in OBJECTS)
            if (
                not holds(expected, there)
                and not left_alone
                and not _implied(key, effect.facts, found)
            ):
                yield _difference(key, expected, there, block.name)
    yield from _extras(block.facts, found, block.name)
    yield from taken(block, found, names)


def _implied(key: Key, expected: Facts, found: Facts) -> bool:
    """Whether a fact does not hold because the table or the column that has it is absent: it is
    enough to name that.
    """
    owners = {Key("table", key.table), Key("column", key.table, key.name)} - {key}
    return any(owner in expected and owner not in found for owner in owners)


def taken(block: Block, found: Facts, names: Mapping[str, str]) -> Iterator[Problem]:
    """A problem for each name that the block would give to a relation, and something else has."""
    for name in relation_names(block.facts, [key for key in block.facts if key not in found]):
        if name in names:
            yield Problem(
                f"the name {name} is taken",
                where=block.name,
                expected="free",
                found=names[name],
                remedy="rename or drop what has the name, if nothing needs it",
            )


def _extras(expected: Facts, found: Facts, where: str) -> Iterator[Problem]:
    """What a table made by the block has besides; an index that enforces nothing is the DBA's own
    business.
    """
    made = {key.table for key in expected if key.kind == "table" and key in found}
    for key, there in found.items():
        if (
            key.table in made
            and key not in expected
            and not (key.kind == "index" and not there.startswith("UNIQUE"))
        ):
            yield _difference(key, None, there, where)


def _difference(
    key: Key, expected: str | None, found: str | None, where: str, what: str = "is not as expected"
) -> Problem:
    return Problem(
        f"{key} {what}",
        where=where,
        expected=expected or "absent",
        found=found or "absent",
        remedy="bring the database back to the expected shape by hand, then run again; nothing is "
        "overwritten",
    )


def frame(decisions: Sequence[Decision]) -> pd.DataFrame:
    """One row a block, in order: index `block`; columns `title`, `decision`, `reason` (str)."""
    data = {
        "block": [d.block.name for d in decisions],
        "title": [d.block.title for d in decisions],
        "decision": [str(d.action) for d in decisions],
        "reason": [d.reason for d in decisions],
    }
    return pd.DataFrame(data, dtype="str").set_index("block")
