"""Prepares a run: decides what it is going to do, and checks whether it may, before anything is
changed. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pgrunbook.errors import Problem, Refused
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger.server_match import ServerMatch
from pgrunbook.planning import (
    adopting,
    approval,
    batch_keys,
    checks,
    delays,
    estimates,
    grammar,
    hazards,
    hidden_rows,
    losses,
    policy,
    preflight,
    refusals,
    right_target,
    server_checks,
    statement_errors,
)
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.hazards import Risk
from pgrunbook.planning.timeline import TwinStep
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import search_path
from pgrunbook.postgres.identity import Identity
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.records.plan import Plan, Step
from pgrunbook.run.rehearsal import Rehearsal
from pgrunbook.runbooks import arguments, cells, credentials
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.fingerprints import Sources
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project
from pgrunbook.sqltext.parse_tree import strings


@dataclass
class Preparation:
    """The decisions about all blocks, the plan that they make, and what they put at risk; empty
    before `check`. `approved`: nothing lacks an approval, or a header that accepts a hazard.

    In a rehearsal the decisions are about the copy, and the checks about the target.
    """

    project: Project
    target: Target
    identity: Identity
    server_match: ServerMatch
    sources: Sources
    parameters: Parameters
    operator: str
    agenda: Agenda
    rehearsal: Rehearsal | None
    decisions: Sequence[Decision] = ()
    plan: Plan | None = None
    risks: Sequence[Risk] = ()
    approved: bool = True
    round_trip_ms: float = 0.0
    rehearsals: Sequence[str] = ()  # of the plan, that the archive has
    backfills: pd.DataFrame | None = None  # what blocks in batches have to do
    foreseen: Sequence[TwinStep] = ()  # of a plan: what the blocks have changed on a twin
    _decided: Sequence[Decision] = field(default=(), init=False)

    @property
    def look(self) -> Session:
        """The read-only session on the target itself."""
        if self.rehearsal:
            return self.rehearsal.look
        return self.agenda.sessions.look

    @property
    def shape(self) -> Session:
        """The read-only session in which the tables are as the blocks will find them: on the copy,
        if runbooks before this one are pending.
        """
        if self.rehearsal and self.rehearsal.after:
            return self.agenda.sessions.look
        return self.look

    def check(self) -> list[CheckResult]:
        """Decide, plan, and check everything that the blocks need. Returns one result for each
        check; the run goes by what was decided once `accept` was called.
        """
        blocks = self.agenda.blocks()
        # First: what the server's encoding lacks cannot even be sent in a question.
        unwritable = server_checks.check_encoding(
            self.look, lambda: {each.name: _names(each) for each in blocks}
        )
        checks.require(unwritable, Refused, "The target is not ready: nothing was changed.")
        found = self.agenda.columns.facts(blocks)
        decided = self._decided = self.agenda.decide(blocks, found)
        results = [*self._check_run(decided), *self._check_blocks(decided)]
        state = self.agenda.state.concerning(blocks)
        if self.rehearsal:
            copied, state = state, self.rehearsal.concerning(blocks, state)
            results += self.rehearsal.check(copied, state)
            # a plan that is rehearsed is that of the target: so its facts are, too
            found = self.agenda.columns.facts(blocks, self.shape)
        if self.agenda.reverting:
            results += self._losses(decided)
        self._make_plan(decided, state, found)
        allowed = [*self._hazards(decided), *self._approval()]
        self.approved = not any(result.problem for result in allowed)
        # A rehearsal, and a revert, show by themselves what PostgreSQL refuses.
        if self.parameters.mode in ("plan", "apply"):
            tried = self._try_pending(decided, found_already=[*results, *allowed])
            results += tried.results
            if self.parameters.mode == "plan":
                self.foreseen = tried.steps
        return [*results, *allowed]

    def _try_pending(
        self, decided: Sequence[Decision], found_already: Sequence[CheckResult]
    ) -> refusals.Tried:
        """Check what PostgreSQL refuses whatever rows there are. A plan tries all, if nothing was
        found already: no problem is said twice. A copy that lacks something already tells nothing.
        """
        planning = self.parameters.mode == "plan" and not any(
            each.problem for each in found_already
        )
        if self.rehearsal and self.rehearsal.lacks:
            planning = False
        make_twin = self.agenda.twins.make
        return refusals.check(self.shape, make_twin, decided, self.risks, planning=planning)

    def _check_run(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """Check what the run was given, and that it is on the right server."""
        results = [CheckResult(each.where, each.what, each) for each in self.agenda.problems]
        results += checks.unknown_names("adopt", adopting.names_in(self.parameters.adopt), decided)
        results += checks.unknown_names("discard", self.parameters.discarded, decided)
        results += self._cells(decided)
        results += server_checks.check_passwords(self.look, credentials.passwords_of(self.target))
        results.append(right_target.check_server(self.target, self.server_match))
        results += _check_exposed(decided)
        results += server_checks.report_drift(self.agenda.state.elsewhere)
        results += server_checks.report_readings(self.agenda.state.unread())
        results += server_checks.report_without_files(
            self.look, self.agenda.runbook, self.agenda.schema, self.agenda.source.deploy.keys()
        )
        assert self.agenda.sessions.path
        results += server_checks.report_path(self.agenda.sessions.path, self.agenda.schema)
        return results

    def _check_blocks(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """Check that the target has what the blocks need, and takes their SQL."""
        results = preflight.check(self.look, self.agenda.schema, self.identity, decided, self.shape)
        results += grammar.check(self.look, decided)
        results += statement_errors.check(self.shape, decided)
        keys = batch_keys.find_keys(self.shape, decided)
        results += batch_keys.check(keys, decided)
        if self.shape is not self.look:  # the copy has no rows to estimate
            keys = batch_keys.find_keys(self.look, decided)
        results += hidden_rows.check(self.look, decided, self.identity.role)
        if self.identity.recovery == "primary":
            results += delays.replicas(self.look, decided, keys, self.target.expected.give_way)
        self.backfills = estimates.frame(self.look, decided, keys)
        results += self._delays(decided)
        results += server_checks.check_encoding(self.look, lambda: self._written(decided))
        return results

    def _make_plan(
        self,
        decided: Sequence[Decision],
        state: Mapping[Object, Definition],
        found: Facts,
    ) -> None:
        """Make the plan, of the decisions and what they were made by."""
        facts = {str(each): self._describe(made) for each, made in state.items()}
        facts |= {str(fact): value for fact, value in found.items()}
        facts |= {f"{each}, kept": self._describe(made) for each, made in self._find_kept(decided)}
        if self.look.behind:  # where it is another, the same SQL may mean something else
            facts["search path"] = search_path.of(self.look)
        # blocks that are done already are no part of it
        steps = []
        for each in decided:
            if each.action is not Action.SKIP:
                sql = each.sql if each.pending else ""
                steps.append(Step(each.block.name, str(each.action), sql))
        reverting = any(step.action == Action.REVERT for step in steps)
        self.plan = Plan(
            self.agenda.runbook,
            "revert" if reverting else "apply",
            {
                "database": self.identity.database,
                "system identifier": self.identity.system_identifier,
                "server": self.identity.server,
                "schema": self.agenda.schema,
            },
            steps[::-1] if reverting else steps,
            {**self.sources.files, **self.sources.code},  # the notebook by its code alone
            dict(sorted(facts.items())),
        )
        if self.plan.steps and not self.rehearsal:
            self.rehearsals = approval.rehearsals(self.project, self.target, self.plan)

    def _hazards(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """Assess what the blocks put at risk on the target, and check that their headers accept
        it.
        """
        if self.parameters.mode == "verify":
            return []
        self.risks = hazards.assess(self.shape, self.agenda.schema, decided)
        if self.shape is not self.look:  # a copy has no rows
            there = hazards.assess(self.look, self.agenda.schema, decided)
            self.risks = hazards.with_sizes_of(self.risks, there)
        policies, reverting = self.target.expected.hazards, self.agenda.reverting
        return policy.check_accepted(self.target.name, policies, self.risks, reverting=reverting)

    def _find_kept(self, decided: Sequence[Decision]) -> Iterator[tuple[Object, Definition]]:
        """Yield the objects that headers of blocks keep, as they are on the target."""
        for decision in decided:
            block, state = decision.block, self.agenda.state
            if block.keeps and decision.action is not Action.SKIP:
                ground = state.ground
                if self.rehearsal:
                    ground = self.rehearsal.ground([block])
                for each, found in ground.seen.definitions.items():
                    if not block.keeps.isdisjoint(state.names_in_headers(each)):
                        yield each, found

    def _describe(self, definition: Definition) -> str:
        """Return what the plan says of a definition."""
        text = describe(definition)
        # what the copy's owner has made there, will be the role's on the target
        if self.rehearsal and self.rehearsal.owner:
            text = text.replace(self.rehearsal.owner, self.identity.role)
        return text

    def _approval(self) -> list[CheckResult]:
        assert self.plan is not None
        asked = policy.to_approve(self.target.expected.hazards, self.risks)
        about = self.project, self.target, self.plan, self.parameters, self.operator
        return approval.check(*about, asked)

    def _delays(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """Check what would make others wait for a block longer than they are to; nothing for a run
        that applies none.
        """
        if not any(decision.pending for decision in decided):
            return []
        self.round_trip_ms = delays.measure(self.look)
        timeouts = Timeouts.of_run(self.parameters, self.round_trip_ms)
        return [*delays.distance(decided, timeouts), *delays.standbys(self.look)]

    def _written(self, decided: Sequence[Decision]) -> dict[str, str]:
        """Return what a run would send and write, by where it stands: the SQL of the blocks, and
        who ran them and why.
        """
        texts = {each.block.name: _text(each) for each in decided if each.pending}
        texts["operator"] = self.operator
        texts["parameters"] = self.parameters.model_dump_json()
        return texts

    def accept(self) -> None:
        """Take up what `check` has decided."""
        self.decisions = self._decided

    def _cells(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """Check the notebook's cells: none may leave a block out."""
        if self.parameters.mode in ("verify", "revert"):
            return []  # they apply no block
        entries = list(dict.fromkeys(decision.block.entry for decision in decided))
        undecided = self.agenda.source.deploy.keys() - entries
        found = cells.problems(self.project.runbook(self.agenda.runbook), entries, undecided)
        return [CheckResult(problem.where, problem.what, problem) for problem in found]

    @property
    def approved_sql(self) -> dict[str, str] | None:
        """The SQL of each block of the plan, if it is one that was approved."""
        if not self.plan or not self.parameters.approved_plan:
            return None
        return {step.block: step.sql for step in self.plan.steps}

    def _losses(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """Check what a revert would take along."""

        def again(runbook: str, schema: str, mode: str) -> str:
            chosen = self.parameters.model_copy(update={"schema_": schema})
            return arguments.command_again(self.project, runbook, chosen, mode)

        return losses.check(
            self.look,
            self.agenda.runbook,
            self.agenda.schema,
            decided,
            self.parameters.discarded,
            self.parameters.statement_timeout,
            self.agenda.state.fold,
            again,
        )


def _check_exposed(decided: Sequence[Decision]) -> Iterator[CheckResult]:
    """Yield a result for each file whose header says `exposed`: that its secret stands in the
    ledger already. No block that holds one is applied.
    """
    for decision in decided:
        for script in decision.block.scripts:
            if not script.exposed:
                continue
            problem = None
            if decision.action is not Action.SKIP:
                problem = Problem(
                    "holds a secret, and is not done",
                    where=script.name,
                    expected="`-- exposed:` only in the file of a block that the ledger has",
                    remedy="take the secret out of the file, and the line out of its header",
                )
            check = f"holds an exposed secret: {script.header['exposed']}"
            yield CheckResult(decision.block.name, check, problem)


def _names(block: Block) -> str:
    """Return the names in a block, one behind the other: only their characters matter."""
    named: list[str] = []
    for schema, relation in block.relations:
        named += (schema, relation)
    named += (each.name or "" for each in block.made)
    return "".join(named)


def _text(decision: Decision) -> str:
    """Return what is to be run, as it is sent and as the server takes it, without escapes."""
    texts = [decision.sql]
    for statement in decision.pending_statements:
        texts += strings(statement.node)
    return "".join(texts)
