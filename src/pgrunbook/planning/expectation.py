"""The objects that the ledger expects, beside those that exist, as a run has last read both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from pglast import ast
from pglast.stream import maybe_double_quote_name

from pgrunbook.errors import Problem
from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Definition, Inventory, Object
from pgrunbook.inventory.read import read
from pgrunbook.ledger import ledger
from pgrunbook.ledger.drift import Drift, find_drift
from pgrunbook.ledger.fold import Fold, note_reading, read_fold
from pgrunbook.planning import broken_off, decisions
from pgrunbook.planning.altered import DriftByName, altered_relations
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.ground import Ground
from pgrunbook.planning.paths import Paths
from pgrunbook.planning.remains import detached_partition, is_copy, taken_relations
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext import mentions
from pgrunbook.sqltext.mentions import Relation


@dataclass(slots=True)
class Expectation:
    """The fold of a schema's effects (what the ledger expects) beside the ground (what exists), for
    the blocks of one runbook. Both are read when they are first asked for.

    Reads only, in the session `look`, but for `read_anew`.
    """

    sessions: Sessions
    runbook: str
    schema: str
    _ground: Ground | None = None
    _fold: Fold | None = None
    _relations: set[Relation] = field(default_factory=set)
    _runs_code: bool = False
    elsewhere: Sequence[Drift] = ()  # of other runbooks, and no block is about to touch it

    @property
    def look(self) -> Session:
        """The read-only session."""
        return self.sessions.look

    @property
    def ground(self) -> Ground:
        """The objects that exist, as they were last read."""
        return self._ground or self._look(())

    @property
    def fold(self) -> Fold:
        """The objects that the ledger expects, as they were last read."""
        if self._fold is None:
            self._fold = read_fold(self.look, self.schema)
        return self._fold

    def include(self, blocks: Iterable[Block]) -> None:
        """Include what these blocks concern when the ground is first read."""
        included = [*blocks]
        self._relations |= Paths(self.look).relations(included)
        self._runs_code = self._runs_code or not all(block.plain for block in included)

    def concerning(self, blocks: Iterable[Block]) -> dict[Object, Definition]:
        """Return what exists of all that these blocks concern: see `Ground.concerning`."""
        return self.ground.concerning(Paths(self.look).relations(blocks))

    def renew(self, blocks: Iterable[Block]) -> None:
        """Read what these blocks name again now, and the ledger when it is next asked for."""
        self._look(Paths(self.look).relations(blocks))
        self._fold = None

    def _look(self, relations: Collection[Relation]) -> Ground:
        if self._ground is None:
            about = self.look, self.schema, self._relations
            self._ground = Ground.look(*about, code=self._runs_code, others=self.fold.schemas)
        else:
            self._ground.refresh(self.look, relations)
        return self._ground

    def forget(self) -> None:
        """Read everything again when it is next asked for."""
        self._ground = self._fold = None

    def everything(self) -> Inventory:
        """Return all objects of the database."""
        return self.ground.seen if self.ground.whole else read(self.look)

    def expected(self) -> Collection[Object]:
        """Return the objects that the ledger knows of."""
        return self.fold.definitions.keys()

    def applied(self) -> list[Object]:
        """Return the objects that runs in the schema have made themselves, and that are as they
        left them.
        """
        fold, seen = self.fold, self.ground.seen
        found = []
        for each, definition in fold.definitions.items():
            # a setter with a schema is a block of a run in another schema
            ours = each not in fold.adopted and not fold.setter(each).schema
            if definition and ours and seen.get(each) == definition:
                found.append(each)
        return found

    def drift(self, blocks: Callable[[], Sequence[Block]]) -> list[Drift]:
        """Return the objects that are not as the ledger expects them. `blocks` returns all of the
        runbook: it is called only if there are any, as it takes long for thousands of blocks.
        """
        found = find_drift(self.fold, self.ground.seen, self._version)
        parts = self.fold.parts
        covered = [e for e in found if self.ground.covers(e.object, parts.get(e.object))]
        return self._without_half_done(covered, blocks()) if covered else []

    def _without_half_done(self, found: Sequence[Drift], blocks: Sequence[Block]) -> list[Drift]:
        # A block of this runbook may be half done, or half undone: its objects are in between, and
        # no drift. What to do about them is decided with the block.
        own = sorted({each.setter.block for each in found if each.setter.is_of(self.runbook)})
        entries = ledger.entries(self.look, self.runbook, self.schema, own)
        begun = self._begun(blocks)
        left = []
        for each in found:
            entry = entries.get(each.setter.block)
            if each.setter.is_of(self.runbook) and entry and entry.broken_off:
                continue
            added = each.object.type == "index" and each.expected is None
            if not (added and any(self._builds(each.object, block) for block in begun.values())):
                left.append(self._besides(each, begun.values()))
        return left

    def _besides(self, drift: Drift, begun: Iterable[Block]) -> Drift:
        """Return what somebody has done besides these blocks; the drift as it is if it is all
        theirs: see `kept`.
        """
        rest = drift
        for block in begun:
            left = self._remainder(rest, block)
            if left is None:
                return drift
            rest = left
        return rest

    def _begun(self, blocks: Sequence[Block]) -> dict[str, Block]:
        """Return the blocks outside a transaction that were broken off, with those of their
        statements that were begun.
        """
        about = self.look, self.runbook, self.schema
        outside = {block.name: block for block in blocks if not block.transaction}
        begun = {}
        for name, entry in ledger.entries(*about, [*outside]).items():
            if entry.event == "started":
                sent = ledger.begun_statements(*about, name)
                block = outside[name]
                statements = tuple(each for each in block.statements if each.sql in sent)
                begun[name] = replace(block, statements=statements)
        return begun

    def _builds(self, index: Object, begun: Block) -> bool:
        """Whether the block may have made the index, or was rebuilding another by it."""
        nodes = [each.node for each in begun.statements]
        built = [node for node in nodes if isinstance(node, ast.IndexStmt)]
        rebuilt = any(isinstance(node, ast.ReindexStmt) for node in nodes)
        made = set[Relation]().union(*map(mentions.relations, built))
        found = self._is_among(index, self._along(begun, made))
        return found or (rebuilt and is_copy(names(index.identity)[-1]))

    def _remainder(self, drift: Drift, begun: Block) -> Drift | None:
        """Return the drift without what the block has done; None if that is all of it."""

        def takes(known: Object, statement: Statement) -> bool:
            taken = self._along(begun, taken_relations(statement.node))
            return self._is_among(known, taken) or known in self.ground.concerning(taken)

        inherited = set()
        for statement in begun.statements:
            if detached_partition(statement.node):
                table = statement.node.relation
                parents = self._along(begun, [(table.schemaname or "", table.relname)])
                for each in self.ground.concerning(parents).values():
                    inherited.add(str(each.properties.get("definition")))
        return broken_off.remainder(drift, begun.statements, takes, inherited)

    def _along(self, block: Block, named: Iterable[Relation]) -> list[Relation]:
        return Paths(self.look).along(block, named)

    def _is_among(self, known: Object, relations: Collection[Relation]) -> bool:
        return names(known.identity) in self.ground.places(relations)

    def kept(self, blocks: Sequence[Block], drifted: Sequence[Drift]) -> dict[str, list[Drift]]:
        """Return, by block, the drift that is to stay: pending blocks name it in their header
        `keeps`, or have caused it before they were broken off. If an object is gone, its parts are
        gone with it.
        """
        begun = self._begun(blocks)
        keeping = {
            block.name: block.keeps for block in blocks if block.keeps or block.name in begun
        }
        entries = ledger.entries(self.look, self.runbook, self.schema, [*keeping])
        kept: dict[str, list[Drift]] = {}
        for name, named in keeping.items():
            if name in entries and entries[name].done:
                continue
            kept[name] = []
            for each in drifted:
                is_named = not named.isdisjoint(self.names_in_headers(each.object))
                is_own = name in begun and self._remainder(each, begun[name]) is None
                if is_named or is_own:
                    kept[name].append(each)
                    if each.found is None:
                        kept[name] += self._parts(each)
        return kept

    def _parts(self, gone: Drift) -> Iterator[Drift]:
        """Yield the expected parts of what is gone."""
        for each, whole in self.fold.parts.items():
            expected = self.fold.definitions.get(each)
            if whole == gone.object.identity and expected:
                yield Drift(each, expected, None, gone.setter)

    def names_in_headers(self, known: Object) -> set[str]:
        """Return the names by which a header may name an object: in full, or without the run's
        schema.
        """
        within = known.identity.replace(f"{maybe_double_quote_name(self.schema)}.", "", 1)
        return {str(known), f"{known.type} {within}"}

    def problems(
        self, block: Block, drifted: Sequence[Drift], kept: Mapping[str, Sequence[Drift]]
    ) -> list[Problem]:
        """Return a problem for each object that the block was the last to set, and that is not as
        it left it; but for those that a pending block is to keep as they are.
        """
        problems = []
        keeps = {each.object for each in chain.from_iterable(kept.values())}
        for each in drifted:
            own = each.setter.is_of(self.runbook) and each.setter.block == block.name
            if own and each.object not in keeps:
                problems.append(replace(each.problem, where=block.name))
        return problems

    def refuse_touched(
        self,
        decided: Sequence[Decision],
        drifted: Sequence[Drift],
        kept: Mapping[str, Sequence[Drift]],
    ) -> list[Decision]:
        """Return the decisions, or to refuse those blocks that are about to alter what another
        runbook was the last to set, and somebody has altered. The rest of that is `elsewhere`.
        """
        keeps = {each.object for each in chain.from_iterable(kept.values())}
        others = [d for d in drifted if not d.setter.is_of(self.runbook) and d.object not in keeps]
        touched = self._touched([each.block for each in decided if each.pending], others)
        refused = {each.object for found in touched.values() for each in found}
        self.elsewhere = [each for each in others if each.object not in refused]
        return [decisions.refuse_touched(d, touched.get(d.block.name, ())) for d in decided]

    def _touched(self, blocks: Sequence[Block], drifted: Sequence[Drift]) -> dict[str, list[Drift]]:
        """Return, by block, the drift of what it is about to alter: of an object, or of its
        table.
        """
        if not drifted:
            return {}
        paths, by_name = Paths(self.look), DriftByName(drifted, self.fold.parts)
        touched = {}
        for block in blocks:
            relations = self.ground.places(paths.along(block, altered_relations(block)))
            touched[block.name] = by_name.altered_by(block, relations, paths.of(block))
        return touched

    @property
    def _version(self) -> int:
        return self.look.info.server_version // 10_000

    def unread(self) -> dict[Object, tuple[Definition | None, Definition]]:
        """Return the expected objects that are to be read anew, with their definitions before (None
        if the ledger has only their names) and now.
        """
        fold, seen = self.fold, self.ground.seen
        wanted = fold.unread | fold.outdated(self._version)
        return {each: (fold.definitions.get(each), seen[each]) for each in wanted if each in seen}

    def read_anew(self, run_id: str) -> None:
        """Write into the ledger how this server prints the expected objects of which the ledger has
        no definition, or one that another major version has printed.

        Definitions are texts of the server, and these may change with its major version: without
        this, each upgrade would look like drift.
        """
        found = self.unread()
        if not found:
            return
        reason = "a ledger of before version 6"
        if not self.fold.unread:
            printed = sorted({f"PostgreSQL {n}" for n in self.fold.versions.values()})
            reason = f"printed by {', '.join(printed)}"
        note_reading(
            self.sessions.work,
            run_id,
            self.schema,
            reason,
            self.fold.last_block,
            {each: now for each, (_, now) in found.items()},
        )
        self._fold = None
