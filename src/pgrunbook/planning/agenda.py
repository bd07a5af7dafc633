"""The agenda of a run: its runbook's blocks, with their placeholders filled in for the target, and
what to do with each. All that this package finds comes together in `Agenda.decide`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgrunbook.admit import admission
from pgrunbook.admit.admission import Admission
from pgrunbook.admit.columns import Columns
from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger import batches, ledger
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning import batch_keys, decisions, resume_backfill, reversion
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.expectation import Expectation
from pgrunbook.planning.judgement import Judgement
from pgrunbook.planning.pending_drift import PendingDrift
from pgrunbook.planning.remains import Remains, find_remains, find_unnamed, without_indexes
from pgrunbook.planning.twin import Twins
from pgrunbook.postgres import catalog
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block, entry_of
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.scripts import Script, Statement
from pgrunbook.runbooks.source import Source, Variants
from pgrunbook.secrets import literals
from pgrunbook.sqltext.placeholders import substitute


@dataclass(slots=True)
class Agenda:
    """The blocks of one runbook for one schema of a target. Reads only, in the session `look`.

    - `variables` are the values of the SQL's placeholders, as psql would be given them.
    - `reverting`: decide what to undo of each block.
    - `discard` are the blocks that may then lose rows.
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
    _pending_drift: PendingDrift = field(default_factory=PendingDrift)
    _ambiguous: dict[tuple[str, str], Sequence[Problem]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.columns = Columns(self.sessions, self.runbook, self.schema, self.source)
        self.state = Expectation(self.sessions, self.runbook, self.schema)
        self.twins = Twins(
            self.entries,
            self.source.plain_blocks(),
            expected=self.state.expected,
            applied=self.state.applied,
        )

    @property
    def look(self) -> Session:
        """The read-only session."""
        return self.sessions.look

    def entries(self, blocks: Sequence[str] | None = None) -> dict[str, ledger.Entry]:
        """The ledger's latest row on each block, or on these."""
        return ledger.entries(self.look, self.runbook, self.schema, blocks)

    @property
    def problems(self) -> list[Problem]:
        """Why a table or a column was not found, or several could be meant: one problem each."""
        problems: list[Problem] = []
        for found in self._ambiguous.values():
            problems += found
        return problems

    def locate(
        self, candidates: Mapping[str, Sequence[str]], given: Mapping[str, str]
    ) -> tuple[str, str]:
        """Return the one table and the one column that exist, see `Run.locate`.

        - `candidates` are two lists of names: of the table, and of the column, each by the
          parameter that may name one.
        - `given` are the values of these parameters, empty if they name none.
        """
        table, column = candidates
        tables = [given[table]] if given[table] else list(candidates[table])
        columns = [given[column]] if given[column] else list(candidates[column])
        place = tables[0], columns[0]
        self._ambiguous.pop((table, column), None)
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
            # The cell of the preconditions shows it, with all other problems.
            self._ambiguous[table, column] = exc.problems
        self.variables |= {table: place[0], column: place[1]}
        return place

    def admit(
        self, value: str, columns: Sequence[tuple[str, str]], by: str, then: str
    ) -> list[Admission]:
        """Add the blocks of each column that is to accept the value: see `Columns.admit`."""
        self.variables["value"] = value
        return self.columns.admit(value, columns, by, then)

    def decide_now(self, blocks: Sequence[Block]) -> list[Decision]:
        """What to do with each of these blocks as the target is now."""
        with self.columns.one_moment():
            renewed = [self.columns.renew(block) for block in blocks]
            found = self.columns.facts(renewed)
            self.state.renew(renewed)
            return self.decide(renewed, found, in_turn=True)

    def blocks(self) -> list[Block]:
        """All blocks, rendered, in the order in which they are to be applied. Raises Refused if a
        placeholder of any of the runbook's files has no value.
        """
        missing: list[Problem] = []
        for script, variables in self._all_used():
            missing += script.missing_values(variables)
        if missing:
            raise Refused(problems=[*self.problems, *missing])
        # without its values each file was searched when it was read
        secrets: list[Problem] = []
        for script, variables in self._all_used():
            if script.variables and not script.exposed:
                secrets += literals.problems(substitute(script.text, variables), script.name)
        if secrets:
            raise Refused("The SQL holds a secret: nothing was changed.", problems=secrets)
        plain = [self.source.block(name, self.variables) for name in self.source.plain_blocks()]
        return sorted([*plain, *self.columns.blocks], key=lambda block: block.name)

    def _all_used(self) -> Iterator[tuple[Script, Mapping[str, str]]]:
        """Yield all files that this run would use, or a revert of it, each with the values of its
        placeholders.
        """
        for kind in (self.source.deploy, self.source.verify, self.source.revert):
            for _, script, variables in self._used(kind):
                yield script, variables

    def decide(
        self, blocks: Sequence[Block], found: Facts, *, in_turn: bool = False
    ) -> list[Decision]:
        """Return what to do with each of these blocks, now. `found` are the facts that hold of
        their columns. `in_turn`: what other runbooks have set is not compared again, as reading all
        that the ledger expects for each block would take long for thousands.

        Each question is asked once for all blocks: what the ledger has of them, what has drifted,
        what is half done, what a twin says. Then one function of `decisions` decides about each.
        """
        self.state.include(blocks)
        entries = self.entries([block.name for block in blocks])
        if self.reverting:
            drifted = self.state.drift(lambda: ())
            return [self._undo(block, found, entries.get(block.name), drifted) for block in blocks]
        done = {name for name, entry in entries.items() if entry.done}
        broken_off = {name for name, entry in entries.items() if entry.broken_off}
        keeping = broken_off or any(block.keeps for block in blocks)
        drifted = self.state.drift(self.blocks) if done or keeping or not in_turn else []
        kept = self.state.kept(self.blocks(), drifted) if drifted else {}
        undone = [block for block in blocks if block.name not in done]
        backfills = {block.name for block in undone if block.batching} & broken_off
        begun = dict(self._find_begun([b for b in undone if not b.transaction], entries))
        judged = self._ask_twin([b for b in undone if b.name not in backfills], begun)
        taken = self._taken_names(undone)
        self._pending_drift.note(undone, judged, begun)
        drifted = [each for each in drifted if not self._pending_drift.has(each)]
        decided = []
        for block in blocks:
            entry = entries.get(block.name)
            if block.problems:
                decision = decisions.decide_unable(block)
            elif entry and entry.done:
                altered = self.state.problems(block, drifted, kept)
                decision = decisions.decide_recorded(block, found, entry, altered)
            elif entry and block.name in backfills:
                table = batch_keys.find_table(self.look, block)
                asked = self.look, self.runbook, self.schema, block.name
                backfill = batches.find_backfill(*asked, entry.revision)
                decision = resume_backfill.decide(block, entry, backfill, table)
            elif block.admits:
                decision = decisions.decide_admitting(block, found, entry)
            elif block.name in begun:
                left = begun[block.name]
                there, judgement = self._indexes(left), judged.get(block.name)
                decision = decisions.decide_begun(block, left, there, entry, taken, judgement)
            else:
                decision = decisions.decide_judged(block, judged[block.name], entry, taken)
            decided.append(decisions.keep(decision, kept.get(block.name, [])))
        return decided if in_turn else self.state.refuse_touched(decided, drifted, kept)

    def _find_begun(
        self, blocks: Sequence[Block], entries: Mapping[str, ledger.Entry]
    ) -> Iterator[tuple[str, Remains]]:
        """Yield the blocks outside a transaction that were begun, with what is left of them: so the
        ledger says; or the catalog, if something of them is half done, which no twin can show.
        """
        for block in blocks:
            entry = entries.get(block.name)
            broken_off = entry is not None and entry.broken_off
            left = self._find_remains(block, entry)
            if broken_off or left.broken:
                yield block.name, left

    def _find_remains(self, block: Block, entry: ledger.Entry | None) -> Remains:
        if entry is None or not entry.broken_off:
            return find_remains(self.sessions.look, block, None)
        asked = self.look, self.runbook, self.schema, block.name
        statements = ledger.begun_statements(*asked)
        unnamed = find_unnamed(block)
        starts = ledger.read_starts(*asked, unnamed) if unnamed else {}
        before: list[tuple[str, ...]] = []
        for kind, *_, identity in entry.kept:
            if kind == "index":
                name = names(identity)
                before.append(name if len(name) > 1 else (self.schema, *name))
        return find_remains(self.sessions.look, block, statements, before, starts)

    def _ask_twin(
        self, undone: Sequence[Block], begun: Mapping[str, Remains]
    ) -> Mapping[str, Judgement]:
        """Have a twin judge the blocks that the ledger knows nothing of; and those that were begun
        and have indexes, as somebody else may have made these.
        """
        unknown = []
        for block in undone:
            left = begun.get(block.name)
            if not block.admits and (left is None or left.indexes):
                unknown.append(block)
        broken: set[tuple[str, str]] = set()
        for left in begun.values():
            broken.update(left.broken_indexes)
        return self.twins.judge(
            self.sessions.look, unknown, lambda: without_indexes(self.state.everything(), broken)
        )

    def _taken_names(self, undone: Sequence[Block]) -> dict[str, Mapping[str, Any]]:
        """Return which relations have the names that these blocks give: rows of the catalog query
        `relations`, by name. See `decisions.taken_names`.
        """
        wanted = decisions.given_names(undone)
        if not wanted:
            return {}
        rows = catalog.rows(self.look, "relations", schema=self.schema, names=wanted, role=None)
        return {row["name"]: row for row in rows}

    def _indexes(self, left: Remains) -> dict[Object, Definition]:
        """Return the valid indexes of a block that was begun, with their definitions."""
        found = {}
        for each, definition in self.state.ground.seen.definitions.items():
            if each.type == "index" and names(each.identity) in left.indexes:
                found[each] = definition
        return found

    def undecided_problem(self, name: str) -> Problem:
        """Return the problem of a cell that names a block about which nothing is decided: there is
        no such block, or a cell before was not run.
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
            self.state.fold.changed_by(self.runbook, block.name),
            self.state.problems(block, drifted, {}),
            lambda undo: self._find_remains(undo, entry),
            self.source,
            self.variables,
            block.named_in(self.discard),
        )

    def verifications(
        self, names: Sequence[str]
    ) -> Iterator[tuple[str, str, tuple[Statement, ...]]]:
        """Yield each verify script: the name of what it is about, a block or the whole runbook; its
        own search path, or none; its statements. `names` selects blocks; empty: all.
        """
        for about, script, variables in self._used(self.source.verify):
            if not names or not script.proves.union([entry_of(about)]).isdisjoint(names):
                path = script.header.get("search_path", "")
                script.render(variables)  # which refuses a script that lacks one
                yield about, path, script.statements_with(variables)

    def _used(
        self, kind: Mapping[str, Script | Variants]
    ) -> Iterator[tuple[str, Script, Mapping[str, str]]]:
        """Yield the scripts of a kind (deploy, verify, revert) that this target needs: the name of
        what each is about, the script, and its variables.
        """
        for name, entry in kind.items():
            if isinstance(entry, Script):
                yield name, entry, self.variables
                continue
            for block in self.columns.blocks:
                if block.entry == name:
                    for script, variables in self._scripts(block, entry):
                        yield block.name, script, variables

    def unverified(self, names: Sequence[str]) -> list[str]:
        """Return the blocks that no verify script is about. `names` selects blocks; empty: all."""
        return [name for name in self.source.unverified if not names or name in names]

    def _scripts(self, block: Block, there: Variants) -> Iterator[tuple[Script, Mapping[str, str]]]:
        """Yield the scripts of the chosen variants, with their variables; and `admitted`, if there
        is one, which verifies the column itself.
        """
        for variant, variables in block.choices:
            if variant in there:
                yield there[variant], variables
        probe = self.columns.probes.get(block.name)
        if probe and "admitted" in there:
            yield there["admitted"], probe
