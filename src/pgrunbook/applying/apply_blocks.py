"""Applies a run's blocks: each is decided about anew, in its turn, under the run's lock."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import psycopg

from pgrunbook import durations
from pgrunbook.applying import in_batches, in_transaction, outside_transaction, standbys
from pgrunbook.applying.outcome import Outcome
from pgrunbook.applying.reporter import Reporter
from pgrunbook.errors import Refused, RunbookError
from pgrunbook.ledger import batches
from pgrunbook.ledger.run_rows import Recorder
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import locks
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.parameters import Parameters

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Worker:
    """Applies blocks in the modes that write; in the others it only shows what it would do.

    `approved` is the SQL of each block of the plan that was approved, if there is one: nothing else
    is run.
    """

    sessions: Sessions
    agenda: Agenda
    recorder: Recorder
    parameters: Parameters
    approved: Mapping[str, str] | None = None
    round_trip_ms: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    # blocks that are done, as far as the ledger was asked
    _done: set[str] = field(default_factory=set)

    @property
    def timeouts(self) -> Timeouts:
        """The timeouts of the run; a block may have its own."""
        return Timeouts.of_run(self.parameters, self.round_trip_ms)

    def apply_all(self, blocks: Sequence[Block], reporter: Reporter) -> None:
        """Do with each of these what `apply` does, in order."""
        # They are decided about together, as that takes one look at the catalog; and those once
        # more whose tables a block before them has touched.
        touched: set[str] = set()
        before: list[str] = []
        for decision in self.agenda.decide_now(blocks):
            block = decision.block
            if touched & block.names:
                decision = self.decide(block)
            if self._apply(decision, before, reporter):
                touched |= block.names
            before = [block.name]  # it was done, and so are those before it

    def apply(self, block: Block, before: Sequence[str], reporter: Reporter) -> None:
        """Decide about the block, show it, and do it; `before` are the names of the blocks that
        come before it.

        Raises Refused if it cannot be applied, or not yet; Failed if that fails. In mode `verify`
        it raises neither.
        """
        self._apply(self.decide(block), before, reporter)

    def _apply(self, decision: Decision, before: Sequence[str], reporter: Reporter) -> bool:
        """Show the block, and do what was decided. Returns whether SQL of it was run."""
        block = decision.block
        reporter.decision(decision)
        # mode `verify` goes on, and names the problems of all blocks at its end
        if decision.problems and self.parameters.mode != "verify":
            message = "The block cannot be applied: nothing of it was done."
            if self.parameters.mode == "revert":
                message = "The block cannot be undone: it is there as it was."
            raise Refused(message, problems=decision.problems)
        if not self.parameters.writes or decision.action is Action.SKIP:
            return False
        self._require_approved(decision)
        self._require_before(block, before)
        if not self.recorder.begun:
            self.recorder.begin()
            self.agenda.state.read_anew(self.recorder.run_id)
        _LOG.info("%s: to %s, %s", block.name, decision.action, decision.reason)
        try:
            done = self._execute(decision, reporter)
        finally:
            self.sessions.put_back()
        if done.effect is None:  # the connection was lost: what has changed is to be read anew
            self.agenda.state.forget()
        else:
            self.sessions.note_made(len(done.effect.differences))
        self.outcomes.append(done)
        self._done.add(done.block)
        _LOG.info("%s: %s in %s", done.block, done.event, durations.words(done.elapsed_ms))
        reporter.outcome(done)
        if not done.confirmed:
            raise standbys.unconfirmed_error(done.block)
        return decision.pending

    def decide(self, block: Block) -> Decision:
        """Return what to do with the block now, which may be something else than what was
        planned.
        """
        return self.agenda.decide_now([block])[0]

    def _execute(self, decision: Decision, reporter: Reporter) -> Outcome:
        on = (self.sessions, decision, self.recorder.run_id, self.timeouts)
        if decision.block.batching and decision.action is not Action.ADOPT:
            try:
                return in_batches.apply(
                    *on,
                    runbook=self.agenda.runbook,
                    report=reporter.attempts(),
                    progress=reporter.backfill(),
                )
            finally:
                self._report_batches(decision.block, reporter)
        if decision.block.transaction:
            return in_transaction.apply(
                *on,
                ground=self.agenda.state.ground,
                decide=partial(self.decide, decision.block),
                ask=self.agenda.columns.questions,
                report=reporter.attempts(),
                secrets=self.recorder.secrets,
            )
        return outside_transaction.apply(
            *on,
            ground=self.agenda.state.ground,
            report=reporter.attempts(),
            progress=reporter.progress(),
        )

    def _report_batches(self, block: Block, reporter: Reporter) -> None:
        """Report the batches that the ledger has; nothing if it cannot be asked."""
        agenda = self.agenda
        with suppress(psycopg.Error, RunbookError):
            about = agenda.runbook, agenda.schema, block.name
            reporter.history(block.name, batches.history(self.sessions.look, *about))

    def _require_approved(self, decision: Decision) -> None:
        """Refuse SQL that is not in the approved plan: the target may have changed since the
        preconditions.
        """
        if self.approved is None or not decision.pending:
            return
        planned = self.approved.get(decision.block.name, "")
        if decision.sql != planned:
            raise Refused.of(
                "is not what was approved: the target has changed meanwhile",
                where=decision.block.name,
                expected=planned or "nothing to be done",
                found=decision.sql,
                remedy="plan again, and have the new plan approved",
            )

    def _require_before(self, block: Block, before: Sequence[str]) -> None:
        """Refuse a block if those before it are not done: it may rely on them."""
        unknown = [name for name in before if name not in self._done]
        if unknown:
            entries = self.agenda.entries(unknown)
            self._done |= {name for name, entry in entries.items() if entry.done}
        missing = [name for name in unknown if name not in self._done]
        if missing:
            raise Refused.of(
                "comes before its turn",
                where=block.name,
                expected=f"{', '.join(missing)} first",
                remedy="run the cells from top to bottom",
            )

    def long_locks(self) -> str:
        """Return the locks that kept readers waiting longer than the application was to wait; empty
        if there were none.
        """
        found = []
        for outcome in self.outcomes:
            for lock in locks.longer(outcome.locks, self.parameters.lock_timeout):
                held = durations.words(lock.held_ms)
                found.append(f"{lock.relation} for {held} in {outcome.block}")
        return "; ".join(found)
