"""What to do with blocks that the ledger lacks, where objects that they make are there already: the
twin is asked what they make, and PostgreSQL prints it, there and on the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace

from pgrunbook.errors import Problem, Refused
from pgrunbook.inventory import read
from pgrunbook.planning import judgement
from pgrunbook.planning.attempt import Attempt
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.judgement import NONE, Judgement, Trial
from pgrunbook.planning.timeline import Step, Timeline
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.made import Made, made

Maker = Callable[[], AbstractContextManager[Twin]]


@dataclass(slots=True)
class Twins:
    """Asks a twin, which `make` makes: once, as what a run asks later is about fewer blocks.

    `adopt` is the run's parameter: the names of blocks that were done by hand, with commas between,
    or `none`. `say` is told that a twin is asked, and what it cannot have.
    """

    schema: str
    make: Maker
    adopt: str = ""
    say: Callable[[str], None] = print
    _tried: _Tried | None = None

    def judge(
        self, look: Connection, blocks: Sequence[Block], adopted: bool = False
    ) -> Mapping[str, Judgement]:
        """What to do with each of these blocks, which are pending, in their order. `adopted`: the
        block before the first was adopted. `look` is a session on the target, and only reads.
        """
        names = {name.strip() for name in self.adopt.split(",")} - {"", NONE}
        named = there(look, blocks, self.schema)
        by_hand = {block.name for block in blocks if block.named_in(names)}
        silent = adopted and bool(blocks) and not _made(blocks[0])
        if not named.keys() - by_hand and not silent:
            return {block.name: _plain(block, block.name in by_hand) for block in blocks}
        try:
            tried = self._try(blocks, by_hand)
        except Refused as exc:
            return {
                block.name: _unjudged(block, named.get(block.name, ()), by_hand, exc)
                for block in blocks
            }
        timeline = Timeline(tried.steps, target := read.read(look))
        trials = [tried.trials[_key(block)] for block in blocks]
        texts = {name: [str(each) for each in objects] for name, objects in named.items()}
        return judgement.judge(trials, timeline, target, texts, adopted, self.adopt)

    def _try(self, blocks: Sequence[Block], by_hand: set[str]) -> _Tried:
        """Run the blocks on the twin; those that were done by hand are there as the target has
        them.
        """
        if self._tried and {_key(block) for block in blocks} <= self._tried.trials.keys():
            return self._tried
        self.say("asking the twin, a copy of the schema, what the blocks make")
        pending = [block for block in blocks if block.name not in by_hand]
        with self.make() as twin:
            for warning in twin.warnings:
                self.say(f"not on the twin: {warning}")
            with closing(Attempt(twin, self.schema)) as attempt:
                attempt.clear_away([each for block in pending for each in _made(block)])
                tried = dict(zip(map(_key, pending), attempt.run(pending), strict=True))
        done = {_key(block): _done_by_hand(block) for block in blocks if block.name in by_hand}
        self._tried = _Tried(tried | done, attempt.steps)
        return self._tried


@dataclass(frozen=True, slots=True)
class _Tried:
    trials: Mapping[tuple[str, str], Trial]
    steps: Sequence[Step]


def _key(block: Block) -> tuple[str, str]:
    return block.name, block.sql_sha256


def _made(block: Block) -> list[Made]:
    return [each for statement in block.statements for each in made(statement.node)]


def there(look: Connection, blocks: Sequence[Block], schema: str) -> dict[str, Sequence[Made]]:
    """What the target has, by name, of the objects that blocks make."""
    objects = [(block.name, each) for block in blocks for each in _made(block)]
    if not objects:
        return {}
    asked = {
        "kinds": [each.kind for _, each in objects],
        "schemas": [each.schema for _, each in objects],
        "parents": [each.parent for _, each in objects],
        "names": [each.name for _, each in objects],
    }
    found: dict[str, list[Made]] = {}
    for row in catalog.rows(look, "there", **asked, path=[schema]):
        name, each = objects[row["number"]]
        found.setdefault(name, []).append(each)
    return dict(found)


def _done_by_hand(block: Block) -> Trial:
    return Trial(block.name, len(block.statements), by_hand=True)


def _plain(block: Block, by_hand: bool) -> Judgement:
    if by_hand:
        return Judgement(Action.ADOPT, reason="done by hand, as the parameter adopt says")
    return Judgement(Action.APPLY, tuple(range(len(block.statements))), "absent")


def _unjudged(block: Block, named: Sequence[Made], by_hand: set[str], why: Refused) -> Judgement:
    """The judgement of a block where no twin can be made."""
    if block.name in by_hand or not named:
        return _plain(block, block.name in by_hand)
    already = f"there already: {', '.join(map(str, named))}"
    problems = tuple(_about(problem, block, already) for problem in why.problems)
    return Judgement(Action.REFUSE, (), already, problems)


def _about(problem: Problem, block: Block, found: str) -> Problem:
    return replace(
        problem, where=f"{block.name}: {problem.where}", found=f"{problem.found}; {found}"
    )
