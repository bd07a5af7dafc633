"""What to do with blocks that the ledger lacks, where objects that they make are there already: the
twin is asked what they make, and PostgreSQL prints it, there and on the target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace

from pglast.stream import maybe_double_quote_name

from pgrunbook.errors import Problem, Refused
from pgrunbook.inventory.objects import Inventory, Object
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning import existing_columns, judgement
from pgrunbook.planning.attempt import Attempt
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.judgement import NONE, Judgement, Trial
from pgrunbook.planning.timeline import Step, Timeline
from pgrunbook.planning.twin_state import is_one_of
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.created_objects import CreatedObject

Maker = Callable[[], AbstractContextManager[Twin]]


@contextmanager
def nowhere() -> Iterator[Twin]:
    """Make no twin: for who has no server for it."""
    raise Refused.of("there is no server for a twin", where="[twin] server")
    yield


_ADOPT = "say which blocks were done by hand, -p adopt NAME,NAME; or, if none was, -p adopt none"


@dataclass(slots=True)
class Twins:
    """Asks a twin, which `make` makes: once, with all blocks that are pending then; what a run asks
    later is about some of them.

    `entries` has the ledger's rows of blocks, and `order` the names of all, as they are applied.
    `applied` are the objects that blocks of the ledger have made, and that are as they left them.
    `adopt` is the run's parameter: the names of blocks that were done by hand, with commas between,
    or `none`. `say` is told that a twin is asked, and what it cannot have; `expected` are the
    objects that the ledger expects.
    """

    entries: Callable[[Sequence[str]], Mapping[str, Entry]]
    order: Sequence[str] = ()
    make: Maker = nowhere
    adopt: str = ""
    say: Callable[[str], None] = print
    expected: Callable[[], Collection[Object]] = tuple
    applied: Callable[[], Sequence[Object]] = list
    _tried: _Tried | None = None

    def judge(
        self, look: Session, blocks: Sequence[Block], target: Callable[[], Inventory]
    ) -> Mapping[str, Judgement]:
        """What to do with each of these blocks, which the ledger lacks, in their order. `look` is a
        session on the target, and only reads; `target` is what is there.
        """
        pending = self._with_those_tried(blocks)
        named = self._unexplained(there(look, pending), look.schema)
        by_hand = self._by_hand(pending)
        before = self._before(pending[0]) if pending else ""
        adopted = before == "adopted" and not pending[0].made
        plain = {b.name: _plain(b, b.name in by_hand) for b in blocks}
        if not adopted and (simple := self._without(look, pending, named, by_hand, target)):
            return {block.name: simple.get(block.name, plain[block.name]) for block in blocks}
        if not named.keys() - by_hand and not adopted:
            return plain
        try:
            return self._tell(look, pending, blocks, named, by_hand, target(), before)
        except Refused as exc:
            return {
                block.name: _unjudged(block, named.get(block.name, ()), by_hand, exc)
                for block in blocks
            }

    def _tell(
        self,
        look: Session,
        pending: Sequence[Block],
        blocks: Sequence[Block],
        named: Mapping[str, Sequence[CreatedObject]],
        by_hand: set[str],
        target: Inventory,
        before: str,
    ) -> Mapping[str, Judgement]:
        """Judge by blocks, and where that does not do, as one is there in part or differs, by
        statements, which takes longer.
        """
        path = search_path.of(look)
        texts = {name: [str(each) for each in objects] for name, objects in named.items()}
        for apart in (False, True):
            tried = self._try(pending, by_hand, path, apart=apart)
            judged = judgement.judge(
                [tried.trials[_key(block)] for block in pending],
                Timeline(tried.steps, target),
                target,
                texts,
                before,
                self.adopt,
                self.expected(),
            )
            if {each.action for each in judged.values()} <= {Action.APPLY, Action.ADOPT}:
                break
        return {block.name: judged[block.name] for block in blocks}

    def _unexplained(
        self, named: Mapping[str, Sequence[CreatedObject]], schema: str
    ) -> dict[str, Sequence[CreatedObject]]:
        """Of what is there, what no block of the ledger has made. Once a twin was tried, it knows
        better.
        """
        if self._tried or not named:
            return dict(named)
        ours = self.applied()
        left = {
            name: [one for one in objects if not any(_is(each, one, schema) for each in ours)]
            for name, objects in named.items()
        }
        return {name: objects for name, objects in left.items() if objects}

    def _without(
        self,
        look: Session,
        pending: Sequence[Block],
        named: Mapping[str, Sequence[CreatedObject]],
        by_hand: set[str],
        target: Callable[[], Inventory],
    ) -> dict[str, Judgement]:
        """The judgements of all of which something is there, if each is so simple that no twin
        needs to be asked; none otherwise.
        """
        asked = [b for b in pending if b.name in named and b.name not in by_hand]
        if not all(each.lenient for block in asked for each in named[block.name]):
            return {}
        found = {block.name: existing_columns.judge(look, block, target()) for block in asked}
        simple = {name: judgement for name, judgement in found.items() if judgement}
        return simple if len(simple) == len(asked) else {}

    def _with_those_tried(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """These blocks, among all that were tried and that the ledger still lacks: a later one may
        show that one was done.
        """
        if not self._tried or not {_key(block) for block in blocks} <= self._tried.trials.keys():
            return blocks
        tried = self._tried.blocks
        entries = self.entries([block.name for block in tried])
        asked = {block.name for block in blocks}
        return [b for b in tried if b.name in asked or not _is_done(entries.get(b.name))]

    def _by_hand(self, blocks: Sequence[Block]) -> set[str]:
        names = {name.strip() for name in self.adopt.split(",")} - {"", NONE}
        return {block.name for block in blocks if block.named_in(names)}

    def _before(self, block: Block) -> str:
        """What was done of the block before it, as the ledger has it: empty if nothing was."""
        at = self.order.index(block.name) if block.name in self.order else 0
        entries = self.entries(self.order[max(at - 1, 0) : at])
        return next((entry.event for entry in entries.values() if entry.done), "")

    def _try(self, blocks: Sequence[Block], by_hand: set[str], path: str, *, apart: bool) -> _Tried:
        """Run the blocks on the twin; those that were done by hand are there as the target has
        them.
        """
        known = self._tried and {_key(block) for block in blocks} <= self._tried.trials.keys()
        if self._tried and known and (self._tried.apart or not apart):
            return self._tried
        what = "statements" if apart else "blocks"
        self.say(f"asking the twin, a copy of the schema, what the {what} make")
        pending = [block for block in blocks if block.name not in by_hand]
        with self.make() as twin:
            for warning in twin.warnings:
                self.say(f"not on the twin: {warning}")
            with closing(Attempt(twin, path, apart=apart)) as attempt:
                attempt.clear_away(pending)
                tried = dict(zip(map(_key, pending), attempt.run(pending), strict=True))
        done = {_key(block): _done_by_hand(block) for block in blocks if block.name in by_hand}
        self._tried = _Tried(blocks, tried | done, attempt.steps, apart)
        return self._tried


@dataclass(frozen=True, slots=True)
class _Tried:
    blocks: Sequence[Block]
    trials: Mapping[tuple[str, str], Trial]
    steps: Sequence[Step]
    apart: bool


def _is_done(entry: Entry | None) -> bool:
    return bool(entry and entry.done)


def _key(block: Block) -> tuple[str, str]:
    return block.name, block.sql_sha256


def there(look: Session, blocks: Sequence[Block]) -> dict[str, Sequence[CreatedObject]]:
    """What the target has, by name, of the objects that blocks make."""
    by_path: dict[str, list[tuple[str, CreatedObject]]] = defaultdict(list)
    for block in blocks:
        path = block.search_path or search_path.of(look)
        by_path[path] += [(block.name, each) for each in block.made]
    found: dict[str, list[CreatedObject]] = defaultdict(list)
    for path, objects in by_path.items():
        asked = {
            "kinds": [each.kind for _, each in objects],
            "schemas": [each.schema for _, each in objects],
            "parents": [each.parent for _, each in objects],
            "names": [each.name for _, each in objects],
        }
        schemas = search_path.schemas(look, path)
        for row in catalog.rows(look, "there", **asked, searched=schemas):
            name, each = objects[row["number"]]
            found[name].append(each)
    return dict(found)


def _is(each: Object, named: CreatedObject, schema: str) -> bool:
    """Whether a statement names the object; one without a schema is taken for the run's own."""
    within = f"{maybe_double_quote_name(named.schema or schema)}."
    known = within in each.identity or "." not in each.identity
    return known and named.parent in each.identity and is_one_of(each, [named])


def _done_by_hand(block: Block) -> Trial:
    return Trial(block.name, len(block.statements), by_hand=True)


def _plain(block: Block, by_hand: bool) -> Judgement:
    if by_hand:
        return Judgement(Action.ADOPT, reason="done by hand, as the parameter adopt says")
    return Judgement(Action.APPLY, tuple(range(len(block.statements))), "absent")


def _unjudged(
    block: Block, named: Sequence[CreatedObject], by_hand: set[str], why: Refused
) -> Judgement:
    """The judgement of a block where no twin can be made."""
    if block.name in by_hand or not named:
        return _plain(block, block.name in by_hand)
    already = f"there already: {', '.join(map(str, named))}"
    problems = tuple(_about(problem, block, already) for problem in why.problems)
    return Judgement(Action.REFUSE, (), already, problems)


def _about(problem: Problem, block: Block, found: str) -> Problem:
    remedies = [each for each in (problem.remedy, _ADOPT) if each]
    return replace(
        problem,
        where=f"{block.name}: {problem.where}",
        found=f"{problem.found}; {found}",
        remedy="; or ".join(remedies),
    )
