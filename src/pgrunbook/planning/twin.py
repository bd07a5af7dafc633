"""Decides about blocks that the ledger lacks, if objects that they make exist already: they are run
on a twin, PostgreSQL prints what they made, and that is compared with the target's objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pgrunbook.errors import Refused
from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Inventory, Object
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning import existing_columns, judgement, later_defaults
from pgrunbook.planning.adopting import names_in, says_none
from pgrunbook.planning.by_hand import judge_named
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.existing_objects import ByName, find_existing, schemas_of
from pgrunbook.planning.judgement import IDLE, Judgement
from pgrunbook.planning.timeline import Timeline, TwinStep
from pgrunbook.planning.twin_limits import TwinLimits, compare
from pgrunbook.planning.twin_run import TwinRun
from pgrunbook.planning.votes import Trial
from pgrunbook.postgres import search_path
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.created_objects import CreatedObject

Maker = Callable[..., AbstractContextManager[Twin]]  # takes `may_grant`, see `make_twin`


@contextmanager
def no_server(**_: bool) -> Iterator[Twin]:
    """Make no twin, as there is no server for one."""
    raise Refused.of("there is no server for a twin", where="[twin] server")
    yield


_Named: TypeAlias = Mapping[str, Sequence[CreatedObject]]  # by block

_ADOPT = "say which blocks were done by hand, -p adopt NAME,NAME; or, if none was, -p adopt none"


@dataclass(slots=True)
class Twins:
    """Asks a twin what pending blocks make. The twin is made once, with all blocks that are pending
    then: what a run asks later is about some of them.

    - `entries` returns the ledger's rows of the named blocks.
    - `order` has the names of all blocks, in the order in which they are applied.
    - `make` makes the twin.
    - `adopt` is the run's parameter: the names of blocks that were done by hand, with commas
      between, and `none` if no other was.
    - `say` prints that a twin is asked, and what it cannot have.
    - `expected` returns the objects that the ledger expects.
    - `applied` returns those of them that the ledger's blocks have made, and left as they are.
    """

    entries: Callable[[Sequence[str]], Mapping[str, Entry]]
    order: Sequence[str] = ()
    make: Maker = no_server
    adopt: str = ""
    say: Callable[[str], None] = print
    expected: Callable[[], Collection[Object]] = tuple
    applied: Callable[[], Sequence[Object]] = list
    _tried: _TwinResult | None = None
    _idle: set[str] = field(default_factory=set)  # blocks that change nothing that is there
    _known: dict[str, Block] = field(default_factory=dict)  # in the order of the runbook

    def judge(
        self, look: Session, blocks: Sequence[Block], target: Callable[[], Inventory]
    ) -> Mapping[str, Judgement]:
        """Return what to do with each of these blocks, which the ledger lacks, in their order.

        `look` is a read-only session on the target; `target` returns the target's inventory.
        """
        if not blocks:
            return {}
        pending = self._with_those_tried(blocks)
        there = find_existing(look, pending)
        unexplained = self._unexplained(there, search_path.default(look), target)
        # Once a twin was asked it knows more than names: then every object counts.
        named = there if self._tried else unexplained
        adopted = self._adopted(look, pending, there, target)
        by_hand = adopted.keys()
        plain = {block.name: adopted.get(block.name) or _absent(block) for block in blocks}
        event_before = self._event_before(pending[0]) if pending else ""
        # A twin takes time. It is not asked if nothing exists by name that a block makes: then
        # nothing was done by hand. But a block that makes nothing, behind one that was adopted, has
        # no name by which that shows.
        asks_anyway = event_before == "adopted" and not pending[0].made
        if not asks_anyway:
            if not named.keys() - by_hand:
                return plain
            simple = self._judge_without(look, pending, named, by_hand, target)
            if simple:
                return {name: simple.get(name, judgement) for name, judgement in plain.items()}
        try:
            made = named, unexplained
            judged = self._ask(look, pending, made, by_hand, target(), event_before)
        except Refused as exc:
            if says_none(self.adopt):
                return plain
            judged = {name: _unjudged(name, made, exc) for name, made in named.items()}
        self._idle |= {name for name, each in judged.items() if each.reason == IDLE}
        return {name: adopted.get(name) or judged.get(name, each) for name, each in plain.items()}

    def _ask(
        self,
        look: Session,
        pending: Sequence[Block],
        made: tuple[_Named, _Named],
        by_hand: Collection[str],
        target: Inventory,
        event_before: str,
    ) -> Mapping[str, Judgement]:
        """Judge by what each block makes; if one is there in part, or differs, judge again by what
        each statement makes, which takes longer.

        `made` has the objects of each block that exist by name, and those of them that no block of
        the ledger has made. If the twin cannot run a block, which may be for want of rows, only the
        second ones speak against it.
        """
        named, unexplained = made
        for apart in (False, True):
            tried = self._try(look, pending, by_hand, target, apart=apart)
            texts = {}
            for block in pending:
                trial = tried.trials[_key(block)]
                found = named if trial.tried and not trial.failure else unexplained
                texts[block.name] = [str(each) for each in found.get(block.name, ())]
            judged = judgement.judge(
                [tried.trials[_key(block)] for block in pending],
                Timeline(tried.steps, target),
                target,
                texts,
                event_before,
                self.adopt,
                self.expected(),
                tried.limits,
                self._passed_over(),
            )
            if {each.action for each in judged.values()} <= {Action.APPLY, Action.ADOPT}:
                break
        return judged

    def _unexplained(
        self,
        named: _Named,
        path: Sequence[str],
        target: Callable[[], Inventory],
    ) -> dict[str, Sequence[CreatedObject]]:
        """Return, of the objects that exist by name, those that no block of the ledger has made."""
        ours = self.applied() if named else ()
        if not ours:
            return dict(named)
        others: set[tuple[str, ...]] = set()
        if not all(one.name for objects in named.values() for one in objects):
            others = _parts_of_others(target(), ours)
        applied = ByName(ours)
        unexplained: dict[str, Sequence[CreatedObject]] = {}
        for name, objects in named.items():
            left = []
            for one in objects:
                explained = bool(applied.find(one, path))
                if not one.name:
                    places = {(one.kind, each, one.parent) for each in schemas_of(one, path)}
                    explained = places.isdisjoint(others) and one.kind != "statistics object"
                if not explained:
                    left.append(one)
            if left:
                unexplained[name] = left
        return unexplained

    def _judge_without(
        self,
        look: Session,
        pending: Sequence[Block],
        named: Mapping[str, Sequence[CreatedObject]],
        by_hand: Collection[str],
        target: Callable[[], Inventory],
    ) -> dict[str, Judgement]:
        """Return the judgements of all blocks of which something is there, if each is so simple
        that no twin needs to be asked; none otherwise.
        """
        asked = [b for b in pending if b.name in named and b.name not in by_hand]
        for block in asked:
            if not all(each.lenient for each in named[block.name]):
                return {}
        simple = {}
        for block in asked:
            judgement = existing_columns.judge(look, block, target())
            if judgement is None:
                return {}
            simple[block.name] = judgement
        return simple

    def _with_those_tried(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """Return these blocks among all that were tried and that the ledger still lacks: a later
        block may show that one of these was done.
        """
        if not self._tried or not self._tried.has(blocks):
            return blocks
        tried = self._tried.blocks
        entries = self.entries([block.name for block in tried])
        done = {name for name, entry in entries.items() if entry.done}
        done -= {block.name for block in blocks}
        return [block for block in tried if block.name not in done]

    def _adopted(
        self,
        look: Session,
        pending: Sequence[Block],
        there: _Named,
        target: Callable[[], Inventory],
    ) -> Mapping[str, Judgement]:
        """Judge those of the pending blocks that the parameter names."""
        names = names_in(self.adopt)
        adopted = [block.name for block in pending if block.named_in(names)]
        if not adopted:
            return {}
        # what is asked later is about some of the blocks that were pending first
        self._known |= {block.name: block for block in pending}
        known = [*self._known.values()]
        return judge_named(known, adopted, there, target(), search_path.default(look))

    def _event_before(self, block: Block) -> str:
        """Return the ledger's event of the block before; empty if that was not done. Blocks that
        were adopted as they change nothing are passed over: they say nothing of those behind them.
        """
        at = self.order.index(block.name) if block.name in self.order else 0
        earlier = [name for name in self.order[:at] if name not in self._idle]
        if not earlier:
            return ""
        before = earlier[-1]
        entry = self.entries([before]).get(before)
        return entry.event if entry and entry.done else ""

    def _passed_over(self) -> str:
        """Return a block that a run has applied, though it adopted a later one; or empty."""
        applied: dict[str, str] = {}
        entries = self.entries(self.order)
        for name in self.order:
            entry = entries.get(name)
            if entry and entry.event == "adopted" and entry.run_id in applied:
                return applied[entry.run_id]
            if entry and entry.event == "applied":
                applied.setdefault(entry.run_id, name)
        return ""

    def _try(
        self,
        look: Session,
        blocks: Sequence[Block],
        by_hand: Collection[str],
        target: Inventory,
        *,
        apart: bool,
    ) -> _TwinResult:
        """Run the blocks on the twin, unless that was done. First it loses what they make, but for
        what blocks of the ledger, or those done by hand, have made.
        """
        tried = self._tried
        if tried and (tried.apart or not apart) and tried.has(blocks):
            return tried
        what = "statements" if apart else "blocks"
        self.say(f"asking the twin, a copy of the schema, what the {what} make")
        pending = [block for block in blocks if block.name not in by_hand]
        with self.make() as twin:
            for warning in twin.warnings:
                self.say(f"not on the twin: {warning}")
            with closing(TwinRun(twin, search_path.of(look), apart=apart)) as twin_run:
                # what was copied without a complaint is as it is there
                unlike = compare(target, twin_run.inventory()) if twin.warnings else {}
                applied, path = ByName(self.applied()), search_path.default(look)
                later_defaults.take_back(twin, look, target, pending)
                twin_run.clear_away(pending, lambda named: bool(applied.find(named, path)))
                trials = dict(zip(map(_key, blocks), twin_run.run(blocks, by_hand), strict=True))
        limits = TwinLimits(unlike, twin_run.stood_in)
        self._tried = _TwinResult(blocks, trials, twin_run.steps, limits, apart)
        return self._tried


@dataclass(frozen=True, slots=True)
class _TwinResult:
    """How the blocks went on the twin. `trials` are by the name and the digest of each block's SQL;
    `apart`: the changes were read after each statement.
    """

    blocks: Sequence[Block]
    trials: Mapping[tuple[str, str], Trial]
    steps: Sequence[TwinStep]
    limits: TwinLimits
    apart: bool

    def has(self, blocks: Sequence[Block]) -> bool:
        """Whether all of these were run, as they are now."""
        return {_key(block) for block in blocks} <= self.trials.keys()


def _key(block: Block) -> tuple[str, str]:
    return block.name, block.sql_sha256


def _parts_of_others(target: Inventory, ours: Sequence[Object]) -> set[tuple[str, ...]]:
    """Return the kinds of parts, each with its table, that somebody else has made or altered.

    A statement may leave the name of what it makes to PostgreSQL. If all of that kind on its table
    is from blocks of the ledger, what the statement makes is not there.
    """
    known, at = {*ours}, target.at()
    found = set()
    for each, table in target.owners.items():
        if each not in known and table in at:
            found.add((each.type, *names(at[table].identity)))
    return found


def _absent(block: Block) -> Judgement:
    """Return the judgement of a block of which nothing is there by name."""
    return Judgement(Action.APPLY, tuple(range(len(block.statements))), "absent")


def _unjudged(block: str, named: Sequence[CreatedObject], why: Refused) -> Judgement:
    """Return the judgement of a block of which something is there, where no twin can be made."""
    already = f"there already: {', '.join(map(str, named))}"
    problems = []
    for each in why.problems:
        where, found = f"{block}: {each.where}", f"{each.found}; {already}"
        remedy = f"{each.remedy}; or {_ADOPT}" if each.remedy else _ADOPT
        problems.append(replace(each, where=where, found=found, remedy=remedy))
    return Judgement(Action.REFUSE, (), already, tuple(problems))
