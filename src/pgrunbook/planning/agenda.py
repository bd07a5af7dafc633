"""What a run has to do on its target: the runbook's blocks, rendered for it, and the decision about
each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pgrunbook.admit import admission, variants
from pgrunbook.admit.admission import Admission
from pgrunbook.admit.witness import Witness
from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Definition, Inventory, Object
from pgrunbook.ledger import batches, ledger
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning import batch_keys, decisions, going_on, reversion
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.expectation import Expectation
from pgrunbook.planning.remains import Remains, remains
from pgrunbook.planning.twin import Twins
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Admits, Block, entry_of
from pgrunbook.runbooks.facts import Fact, Facts
from pgrunbook.runbooks.scripts import Script, Statement, substitute
from pgrunbook.runbooks.source import Source, Variants
from pgrunbook.secrets import literals

# So short that it is not its length that keeps it out of a column.
NONSENSE = "?"


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
    _admitting: list[Block] = field(default_factory=list)
    _probes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _unplain: dict[tuple[str, str], Sequence[Problem]] = field(default_factory=dict)
    _folders: dict[Admits, tuple[str, str]] = field(default_factory=dict)
    _seen: dict[Admits, Admission] | None = None  # what was found meanwhile, in `decide_now`
    _witnesses: dict[Admits, Witness] = field(default_factory=dict)  # who said last what is found

    def __post_init__(self) -> None:
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
        """Add, for each column, the block that admits the value and the one that validates; what
        was found.
        """
        self.variables["value"] = value
        entries = self.entries(
            [f"{folder}:{table}.{column}" for folder in (by, then) for table, column in columns]
        )
        inspected = [self._inspect(*column, value) for column in columns]
        for found in inspected:
            admits = Admits(found.table, found.column, found.value)
            entry, own = (
                entries.get(f"{folder}:{admits.table}.{admits.column}") for folder in (by, then)
            )
            first = variants.admitting(self.source, by, found, entry)
            second = variants.validating(self.source, then, found, entry, own)
            self._admitting = [b for b in self._admitting if b.admits != admits] + [first, second]
            # what was rejected before the first change counts, and is asked once
            if first.name not in self._probes:
                self._probes[first.name] = self._probe(admits)
            self._folders[admits] = (by, then)
        return inspected

    def renewed(self, block: Block) -> Block:
        """The block as the target wants it now: what constrains a column may have changed since the
        plan.
        """
        if not block.admits:
            return block
        self.admit(block.admits.value, [block.admits[:2]], *self._folders[block.admits])
        return next(b for b in self._admitting if b.name == block.name)

    def decide_now(self, blocks: Sequence[Block]) -> list[Decision]:
        """What to do with each of these blocks as the target is now; each column is asked once."""
        self._seen = {}
        try:
            renewed = [self.renewed(block) for block in blocks]
            found = self.found(renewed)
            self.state.renew({named for block in renewed for named in block.relations})
            return self.decide(renewed, found)
        finally:
            self._seen = None

    def _inspect(
        self, table: str, column: str, value: str, conn: Connection | None = None
    ) -> Admission:
        about, seen = Admits(table, column, value), self._seen
        if conn is None and seen is not None and about in seen:
            return seen[about]
        witness = Witness(conn or self.look)
        found = admission.inspect(witness.conn, self.schema, *about, witness)
        if conn is None:
            self._witnesses[about] = witness
        if conn is None and seen is not None:
            seen[about] = found
        return found

    def _probe(self, admits: Admits) -> Mapping[str, str]:
        """What the verification of a column is given: nonsense that is rejected now is to be
        rejected afterwards.
        """
        rejected = not self._inspect(admits.table, admits.column, NONSENSE).accepts
        return {
            **admits._asdict(),
            "nonsense": NONSENSE,
            "nonsense_rejected": str(rejected).lower(),
        }

    def blocks(self) -> list[Block]:
        """All blocks, rendered, in the order in which they are to be applied. Raises Refused if a
        placeholder of any of the runbook's files has no value.
        """
        if lacking := list(self._lacking()):
            raise Refused(problems=[*self.problems, *lacking])
        if secrets := list(self._secrets()):
            raise Refused("The SQL holds a secret: nothing was changed.", problems=secrets)
        plain = [self.source.block(name, self.variables) for name in self.source.plain()]
        return sorted([*plain, *self._admitting], key=lambda block: block.name)

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

    def found(self, blocks: Sequence[Block], conn: Connection | None = None) -> dict[Fact, str]:
        """What holds, by this session or another, of the columns that these blocks let accept a
        value.
        """
        facts: dict[Fact, str] = {}
        for admits in dict.fromkeys(block.admits for block in blocks if block.admits):
            facts |= variants.facts(self._inspect(*admits, conn))
        return facts

    def questions(self, block: Block, conn: Session) -> Questions:
        """The same as `found` of one block, to be asked in this session with the block's
        statements: in one message.
        """
        before = self._witnesses.get(block.admits) if block.admits else None
        if block.admits is None or before is None:
            return Questions((), lambda _: {})
        about = self.schema, *block.admits

        def facts(answers: Sequence[list[dict[str, Any]]]) -> Facts:
            return variants.facts(admission.testified(before.repeated(conn, answers), *about))

        return Questions(before.asking(conn), facts)

    def decide(self, blocks: Sequence[Block], found: Facts) -> list[Decision]:
        """What to do with each of these blocks, now."""
        self.state.concern(blocks)
        entries = self.entries([block.name for block in blocks])
        if self.reverting:
            drifted = self.state.drift()
            return [self._undo(block, found, entries.get(block.name), drifted) for block in blocks]
        undone = [b for b in blocks if not ((entry := entries.get(b.name)) and entry.done)]
        drifted = self.state.drift() if len(undone) < len(blocks) else []
        wanted = [each.name for block in undone for each in block.made]
        taken = catalog.rows(self.look, "relations", schema=self.schema, names=wanted)
        named = {row["name"]: row for row in taken}
        begun = dict(self._begun([b for b in undone if not b.transaction], entries))
        cut_off = {name for name, entry in entries.items() if entry.broken_off}
        new = [
            block
            for block in undone
            if not (block.admits or (block.name in begun and not begun[block.name].indexes))
            and not (block.batching and block.name in cut_off)
        ]
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
            if entry and block.batching and block.name in cut_off:
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
        statements = ledger.begun(self.look, self.runbook, self.schema, block.name)
        before = [names(identity) for kind, *_, identity in entry.kept if kind == "index"]
        of_schema = [(self.schema, *name) if len(name) == 1 else name for name in before]
        return remains(self.sessions.look, block, statements, of_schema)

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
        first = (
            "the preconditions"
            if isinstance(deploy[name], Script)
            else "run.allow, then that of the preconditions,"
        )
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
            for block in (b for b in self._admitting if b.entry == name):
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
        if (probe := self._probes.get(block.name)) and (script := there.get("admitted")):
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


class Questions(NamedTuple):
    """Statements that ask about a column that is to accept a value, and what the rows of each say
    of it.
    """

    asked: Sequence[str]
    facts: Callable[[Sequence[list[dict[str, Any]]]], Facts]
