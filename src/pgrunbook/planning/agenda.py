"""What a run has to do on its target: the runbook's blocks, rendered for it, and the decision about
each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pgrunbook.admit import admission
from pgrunbook.admit.admission import Admission
from pgrunbook.admit.columns import Columns
from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Definition, Inventory, Object
from pgrunbook.ledger import batches, ledger
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning import batch_keys, decisions, going_on, reversion
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.expectation import Expectation
from pgrunbook.planning.remains import Remains, remains, unnamed
from pgrunbook.planning.twin import Twins
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.runbooks.blocks import Block, entry_of
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.scripts import Script, Statement, substitute
from pgrunbook.runbooks.source import Source, Variants
from pgrunbook.secrets import literals


@dataclass(slots=True)
class Agenda:
    """The blocks of one runbook for one schema of a target. Reads only, in the session `look`.

    `variables` are what psql would be given for the placeholders of the SQL. With `reverting`, what
    is decided about a block is what to undo of it; blocks in `discard` may take rows with them.
    """

    sessions: Sessions
    runbook: str
    schema: str
    source: Source
    variables: dict[str, str] = field(default_factory=dict)
    reverting: bool = False
    discard: frozenset[str] = frozenset()
    state: Expectation = field(init=False)  # what the ledger expects, and what is there
    twins: Twins = field(init=False)
    columns: Columns = field(init=False)  # that are to accept a value
    _unplain: dict[tuple[str, str], Sequence[Problem]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.columns = Columns(self.sessions, self.runbook, self.schema, self.source)
        self.state = Expectation(self.sessions, self.runbook, self.schema)
        self.twins = Twins(
            self.entries,
            self.source.plain(),
            expected=self.state.expected,
            applied=self.state.applied,
        )

    @property
    def look(self) -> Connection:
        """The read-only session."""
        return self.sessions.look

    def entries(self, blocks: Sequence[str] | None = None) -> dict[str, ledger.Entry]:
        """The ledger's latest row on each block, or on these."""
        return ledger.entries(self.look, self.runbook, self.schema, blocks)

    @property
    def problems(self) -> list[Problem]:
        """Why it is not plain which tables and columns are meant."""
        return [problem for found in self._unplain.values() for problem in found]

    def locate(
        self, candidates: Mapping[str, Sequence[str]], given: Mapping[str, str]
    ) -> tuple[str, str]:
        """The table and the column of two lists of candidates, where none is given: see
        `Run.locate`.
        """
        tables, columns = (
            [given[name]] if given[name] else list(names) for name, names in candidates.items()
        )
        table, column = candidates
        place = tables[0], columns[0]
        self._unplain.pop((table, column), None)
        try:
            place = admission.find_column(
                self.look,
                self.schema,
                tables,
                columns,
                table_parameter=table,
                column_parameter=column,
            )
        except Refused as exc:
            self._unplain[table, column] = exc.problems
        self.variables |= dict(zip(candidates, place, strict=True))
        return place

    def admit(
        self, value: str, columns: Sequence[tuple[str, str]], by: str, then: str
    ) -> list[Admission]:
        """Add the blocks of each column that is to accept the value: see `Columns.admit`."""
        self.variables["value"] = value
        return self.columns.admit(value, columns, by, then)

    def decide_now(self, blocks: Sequence[Block]) -> list[Decision]:
        """What to do with each of these blocks as the target is now."""
        with self.columns.asked_once():
            renewed = [self.columns.renewed(block) for block in blocks]
            found = self.columns.facts(renewed)
            self.state.renew({named for block in renewed for named in block.relations})
            return self.decide(renewed, found)

    def blocks(self) -> list[Block]:
        """All blocks, rendered, in the order in which they are to be applied. Raises Refused if a
        placeholder of any of the runbook's files has no value.
        """
        if lacking := list(self._lacking()):
            raise Refused(problems=[*self.problems, *lacking])
        if secrets := list(self._secrets()):
            raise Refused("The SQL holds a secret: nothing was changed.", problems=secrets)
        plain = [self.source.block(name, self.variables) for name in self.source.plain()]
        return sorted([*plain, *self.columns.blocks], key=lambda block: block.name)

    def _lacking(self) -> Iterator[Problem]:
        """The placeholders without a value, of all files that this run would use, or one that
        undoes it.
        """
        for kind in (self.source.deploy, self.source.verify, self.source.revert):
            for _, script, variables in self._used(kind):
                yield from script.lacking(variables)

    def _secrets(self) -> Iterator[Problem]:
        """What of those files is secret once the placeholders are filled in; each was searched by
        itself before.
        """
        for kind in (self.source.deploy, self.source.verify, self.source.revert):
            for _, script, variables in self._used(kind):
                if script.variables and not script.exposed:
                    yield from literals.problems(substitute(script.text, variables), script.name)

    def decide(self, blocks: Sequence[Block], found: Facts) -> list[Decision]:
        """What to do with each of these blocks, now."""
        self.state.concern(blocks)
        entries = self.entries([block.name for block in blocks])
        if self.reverting:
            drifted = self.state.drift()
            return [self._undo(block, found, entries.get(block.name), drifted) for block in blocks]
        done = {name for name, entry in entries.items() if entry.done}
        undone = [block for block in blocks if block.name not in done]
        drifted = self.state.drift() if done else []
        wanted = [each.name for block in undone for each in block.made]
        taken = catalog.rows(self.look, "relations", schema=self.schema, names=wanted)
        named = {row["name"]: row for row in taken}
        begun = dict(self._begun([b for b in undone if not b.transaction], entries))
        cut_off = {name for name, entry in entries.items() if entry.broken_off}
        in_batches = {block.name for block in undone if block.batching} & cut_off
        left_by_name = {name for name, left in begun.items() if not left.indexes}
        known = left_by_name | in_batches
        new = [block for block in undone if not block.admits and block.name not in known]
        broken = {index for left in begun.values() for index in left.broken_indexes}
        judged = self.twins.judge(
            self.sessions.look, new, lambda: _without(self.state.everything(), broken)
        )

        def decided(block: Block) -> Decision:
            entry = entries.get(block.name)
            if block.problems:
                return decisions.unable(block)
            if entry and entry.done:
                mine = self.state.problems(block, drifted)
                return decisions.recorded(block, found, entry, mine)
            if entry and block.name in in_batches:
                table = batch_keys.table(self.sessions.look, block)
                return going_on.decide(block, entry, self._backfill(entry), table)
            if block.admits:
                return decisions.admitting(block, found, entry)
            if left := begun.get(block.name):
                there = self._there(left)
                return decisions.begun(block, left, there, entry, named, judged.get(block.name))
            return decisions.judged(block, judged[block.name], entry, named)

        return list(map(decided, blocks))

    def _backfill(self, entry: ledger.Entry) -> batches.Backfill | None:
        """How far the batches of a block have come."""
        return batches.found(self.look, self.runbook, self.schema, entry.block, entry.revision)

    def _begun(
        self, blocks: Sequence[Block], entries: Mapping[str, ledger.Entry]
    ) -> Iterator[tuple[str, Remains]]:
        """What is left of blocks outside a transaction that were begun: by the ledger, or by the
        catalog, if something of them is half done, which a twin cannot make.
        """
        for block in blocks:
            entry = entries.get(block.name)
            broken_off = entry is not None and entry.broken_off
            left = self._left(block, entry)
            if broken_off or left.broken:
                yield block.name, left

    def _left(self, block: Block, entry: ledger.Entry | None) -> Remains:
        if entry is None or not entry.broken_off:
            return remains(self.sessions.look, block, None)
        asked = self.look, self.runbook, self.schema, block.name
        statements = ledger.begun(*asked)
        starts = ledger.starts(*asked, nameless) if (nameless := unnamed(block)) else {}
        before = [names(identity) for kind, *_, identity in entry.kept if kind == "index"]
        of_schema = [(self.schema, *name) if len(name) == 1 else name for name in before]
        return remains(self.sessions.look, block, statements, of_schema, starts)

    def _there(self, left: Remains) -> dict[Object, Definition]:
        """The indexes of a block that are there already, as they are."""
        seen = self.state.ground.seen
        return {
            each: seen[each]
            for each in seen
            if each.type == "index" and names(each.identity) in left.indexes
        }

    def undecided(self, name: str) -> Problem:
        """Why nothing is decided about what a cell calls a block: a file or a folder of `deploy/`,
        or none.
        """
        deploy = self.source.deploy
        if name not in deploy:
            remedy = f"{did_you_mean(name, deploy)}correct the name in the cell"
            return Problem(
                f"no block is called {name!r}", expected=", ".join(deploy), remedy=remedy
            )
        first = "run.allow, then that of the preconditions,"
        if isinstance(deploy[name], Script):
            first = "the preconditions"
        return Problem(
            f"nothing is decided about {name!r}", remedy=f"run the cell of {first} first"
        )

    def _undo(
        self, block: Block, found: Facts, entry: ledger.Entry | None, drifted: Sequence[Drift]
    ) -> Decision:
        return reversion.decide(
            block,
            found,
            entry,
            self.state.fold.changes.get((self.runbook, block.name), {}),
            self.state.problems(block, drifted),
            lambda undo: self._left(undo, entry),
            self.source,
            self.variables,
            block.named_in(self.discard),
        )

    def verifications(self, names: Sequence[str]) -> Iterator[tuple[str, tuple[Statement, ...]]]:
        """Each verify script, with what it is about: a block, or the whole runbook. `names` selects
        blocks.
        """
        for about, script, variables in self._used(self.source.verify):
            if not names or not script.proves.union([entry_of(about)]).isdisjoint(names):
                yield about, _statements(script, variables)

    def _used(
        self, kind: Mapping[str, Script | Variants]
    ) -> Iterator[tuple[str, Script, Mapping[str, str]]]:
        """The scripts of a kind for this target, each with what it is about, as above, and with its
        variables.
        """
        for name, entry in kind.items():
            if isinstance(entry, Script):
                yield name, entry, self.variables
                continue
            for block in (b for b in self.columns.blocks if b.entry == name):
                yield from (
                    (block.name, script, variables)
                    for script, variables in self._scripts(block, entry)
                )

    def unverified(self, names: Sequence[str]) -> list[str]:
        """The blocks, files and folders of `deploy/`, that no verify script is about. `names`
        selects blocks.
        """
        return [name for name in self.source.unverified if not names or name in names]

    def _scripts(self, block: Block, there: Variants) -> Iterator[tuple[Script, Mapping[str, str]]]:
        """The scripts of the chosen variants, with their variables, and `admitted`, about the
        column itself.
        """
        for variant, variables in block.choices:
            if script := there.get(variant):
                yield script, variables
        if (probe := self.columns.probes.get(block.name)) and (script := there.get("admitted")):
            yield script, probe


def _without(there: Inventory, indexes: Collection[tuple[str, str]]) -> Inventory:
    """What is there, but for these indexes, which are half done and will be made anew."""
    if not indexes:
        return there
    kept = {
        each: made
        for each, made in there.definitions.items()
        if each.type != "index" or names(each.identity) not in indexes
    }
    return replace(there, definitions=kept)


def _statements(script: Script, variables: Mapping[str, str]) -> tuple[Statement, ...]:
    script.render(variables)  # which refuses a script that lacks one
    return script.filled(variables)
