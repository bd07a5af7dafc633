"""What a run is going to do, and whether it may: all that is checked before anything is changed.
Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pgrunbook.errors import Problem
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import Definition
from pgrunbook.ledger.origin import Standing
from pgrunbook.planning import (
    approval,
    batch_keys,
    delays,
    dependents,
    estimates,
    grammar,
    hazards,
    losses,
    policy,
    preflight,
    reliance,
    right_target,
    statement_errors,
    unseen_lag,
)
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.hazards import Risk
from pgrunbook.planning.make_plan import make_plan
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.identity import Identity
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.records.plan import Plan
from pgrunbook.run.rehearsal import Rehearsal
from pgrunbook.runbooks import arguments, cells
from pgrunbook.runbooks.fingerprints import Sources
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project


@dataclass
class Preparation:
    """The decisions about all blocks, the plan that they make, what they put at risk, and the
    checks; empty before `check`. `approved`: nothing lacks an approval, or a header that accepts.

    In a rehearsal what is decided is about the copy, and the target is what is checked.
    """

    project: Project
    target: Target
    identity: Identity
    standing: Standing
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
    backfills: pd.DataFrame | None = None  # what blocks in batches have to do
    _decided: Sequence[Decision] = field(default=(), init=False)

    @property
    def look(self) -> Session:
        """The read-only session on the target itself."""
        return self.rehearsal.look if self.rehearsal else self.agenda.sessions.look

    @property
    def shape(self) -> Session:
        """The read-only session in which the tables are as the blocks will find them: on the copy,
        if runbooks before this one are pending.
        """
        after = self.rehearsal and self.rehearsal.after
        return self.agenda.sessions.look if after else self.look

    def check(self) -> list[CheckResult]:
        """Decide, plan, and check everything that the blocks need; one result each. `accept` takes
        the decisions.
        """
        blocks = self.agenda.blocks()
        found = self.agenda.columns.facts(blocks)
        decided = self._decided = self.agenda.decide(blocks, found)
        results = [
            CheckResult(problem.where, problem.what, problem) for problem in self.agenda.problems
        ]
        results += self._cells(decided)
        results.append(right_target.check_server(self.target, self.standing))
        results += _exposed(decided)
        results += reliance.readings(self.agenda.state.unread())
        results += preflight.check(
            self.look, self.agenda.schema, self.identity, decided, self.shape
        )
        results += [
            *grammar.check(self.look, decided),
            *statement_errors.check(self.shape, decided),
        ]
        results += batch_keys.check(self.shape, decided)
        if self.identity.recovery == "primary":
            results += unseen_lag.check(self.look, decided, self.target.expected.give_way)
        self.backfills = estimates.frame(self.look, decided)
        results += self._delays(decided)
        results += reliance.letters(self.look, self._written(decided))
        state = self.agenda.state.concerning(blocks)
        if self.rehearsal:
            copied, state = state, self.rehearsal.concerning(blocks, state)
            results += self.rehearsal.check(copied, state)
            found = self.agenda.columns.facts(blocks, self.shape)  # the plan is that of the target
        if self.agenda.reverting:
            results += self._lost(decided)
        said = {str(each): self._told(made) for each, made in state.items()}
        said |= {str(fact): value for fact, value in found.items()}
        self.plan = make_plan(
            self.agenda.runbook, self.agenda.schema, self.identity, decided, said, self.sources
        )
        allowed = [*self._hazards(decided), *self._approval()]
        self.approved = not any(result.problem for result in allowed)
        return [*results, *self._depended(decided), *allowed]

    def _depended(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """What PostgreSQL would refuse because of what depends on it; a rehearsal shows that."""
        if self.parameters.mode not in ("plan", "apply"):
            return []
        return [*dependents.check(self.shape, self.agenda.twins.make, decided, self.risks)]

    def _hazards(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """What the blocks put at risk on the target, and whether their headers accept it."""
        if self.parameters.mode == "verify":
            return []
        self.risks = hazards.assess(self.shape, self.agenda.schema, decided)
        if self.shape is not self.look:  # a copy has no rows
            there = hazards.assess(self.look, self.agenda.schema, decided)
            self.risks = hazards.with_sizes_of(self.risks, there)
        policies, reverting = self.target.expected.hazards, self.agenda.reverting
        return policy.check_accepted(self.target.name, policies, self.risks, reverting=reverting)

    def _told(self, made: Definition) -> str:
        """What the plan says of a definition: what is the copy's will be the role's."""
        said = describe(made)
        owner = self.rehearsal.owner if self.rehearsal else ""
        return said.replace(owner, self.identity.role) if owner else said

    def _approval(self) -> list[CheckResult]:
        assert self.plan is not None
        asked = policy.to_approve(self.target.expected.hazards, self.risks)
        about = self.project, self.target, self.plan, self.parameters, self.operator
        return approval.check(*about, asked)

    def _delays(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """What would make others wait for a block longer than they are to; nothing for a run that
        applies none.
        """
        if not any(decision.pending for decision in decided):
            return []
        self.round_trip_ms = delays.measure(self.look)
        chosen = self.parameters
        timeouts = Timeouts(
            chosen.lock_timeout, chosen.statement_timeout, chosen.lock_budget, self.round_trip_ms
        )
        return [*delays.distance(decided, timeouts), *delays.standbys(self.look)]

    def _written(self, decided: Sequence[Decision]) -> dict[str, str]:
        """What a run would send and write, by where it stands: the SQL of the blocks, and who ran
        them and why.
        """
        given = {"operator": self.operator, "parameters": self.parameters.model_dump_json()}
        return {
            decision.block.name: decision.sql for decision in decided if decision.pending
        } | given

    def accept(self) -> None:
        """Go by what `check` has decided."""
        self.decisions = self._decided

    def _cells(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """What is wrong with the notebook's cells; none that only look, or undo, can leave a block
        out.
        """
        if self.parameters.mode in ("verify", "revert"):
            return []
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

    def _lost(self, decided: Sequence[Decision]) -> list[CheckResult]:
        """What a revert would take with it."""
        about = self.look, self.agenda.runbook, self.agenda.schema
        discarded, timeout = self.parameters.discarded, self.parameters.statement_timeout

        def again(runbook: str, mode: str) -> str:
            return arguments.command_again(self.project, runbook, self.parameters, mode)

        return losses.check(*about, decided, discarded, timeout, self.agenda.state.fold, again)

    def rehearsals(self) -> list[str]:
        """The rehearsals of the plan that the archive has."""
        if self.rehearsal or not self.plan:
            return []
        return approval.rehearsals(self.project, self.target, self.plan)


def _exposed(decided: Sequence[Decision]) -> Iterator[CheckResult]:
    """Blocks with a secret that is known to stand in the ledger: nothing writes it there again."""
    for decision in decided:
        for script in decision.block.scripts:
            if not script.exposed:
                continue
            check = f"holds an exposed secret: {script.header['exposed']}"
            problem = Problem(
                "holds a secret, and is not done",
                where=script.name,
                expected="`-- exposed:` only in the file of a block that the ledger has",
                remedy="take the secret out of the file, and the line out of its header",
            )
            yield CheckResult(
                decision.block.name, check, None if decision.action is Action.SKIP else problem
            )
