"""A run: one execution of a runbook against a target. Its methods are the runbook's cells, from top
to bottom.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pgrunbook.admit import variants
from pgrunbook.errors import Failed, Refused, RunbookError, Verdict
from pgrunbook.planning import checks
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres import search_path
from pgrunbook.postgres.catalog import TablesSnapshot
from pgrunbook.records.card import VerdictCard
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.words import counted
from pgrunbook.run import conclusion, display, reporters, verify
from pgrunbook.run.views import Views
from pgrunbook.runbooks import arguments

_FORMER = {
    "identity": "target",
    "sources": "files",
    "circumstances": "activity",
    "admit": "allow",
    "decisions": "plan",
    "difference": "changes",
    "finish": "verdict",
}


class Column(NamedTuple):
    """A column of a table."""

    table: str
    column: str


class Run(Views):
    """One execution of a runbook. The cells call its methods in order; each shows a frame, and
    raises if the run cannot go on. What was committed is in the ledger whatever happens.
    """

    # -- what the runbook works on

    def locate(self, **candidates: Sequence[str]) -> Column:
        """Find the one table of the candidates that is there, and the one column of the candidates
        that it has.

        Takes two lists, each under the name of a parameter of the runbook:
        `locate(users_table=["users", "people"], role_column=["role"])`. A parameter that is not
        empty is the only candidate. What is found becomes the value of the placeholders of the same
        names. If it is not plain which one is meant, because none is there or several are, the
        preconditions refuse the run and name the parameter.
        """
        with self._cell():
            given = {name: self.parameters.own.get(name, "") for name in candidates}
            return Column(*self._agenda.locate(candidates, given))

    def allow(
        self, value: str, columns: Sequence[tuple[str, str]], *, by: str, then: str
    ) -> pd.DataFrame:
        """Plan to let each column accept the value: blocks of the variants in `deploy/<by>/`, then
        `deploy/<then>/`.

        Returns what constrains the columns now: index `table`, `column`; columns `type`,
        `accepted`, `because`. The value becomes that of the placeholder `value`.
        """
        with self._cell():
            if self._rehearsal:
                self._rehearsal.fill_lookups(self._sessions.work, value, columns)
            return display.named(
                variants.frame(self._agenda.admit(value, columns, by, then)), Kind.ADMISSION
            )

    # -- before

    def preconditions(self) -> pd.DataFrame:
        """Check everything that the blocks need, and decide about each: index `where`; columns
        `check`, `result`, `found`. Raises Refused, naming every problem at once, before anything is
        changed.
        """
        with self._cell():
            results = self._preparation.check()
            shown = display.named(
                checks.frame(results),
                Kind.PRECONDITIONS,
                code=self._sources.code,
                cells=self._sources.cells,
            )
            if self._plan and not self._preparation.approved:
                display.plan(self._plan, sql_too=True)
                display.frame(self._hazards)
            if self.parameters.mode != "verify" or self._agenda.problems:
                self._require(
                    results, shown, Refused, "The target is not ready: nothing was changed."
                )
            self._go_by_preparation()
            if all(result.result == "ok" for result in results):
                return display.folded(shown, f"{counted(len(results), 'check')}, all ok")
            return shown

    def observe(self, *also: str) -> TablesSnapshot:
        """Show the tables that the blocks concern, and others named, `table` or `schema.table`, as
        they are now. The first such snapshot is the `before`.
        """
        with self._cell():
            self._observation.choose(also, [each.block for each in self._decisions])
            taken = self._observation.snapshot(len(self._worker.outcomes))
            return display.fold_parts(taken)

    # -- blocks

    def apply(self, name: str) -> None:
        """Do what was decided about the block `name`, or each block of the folder `name`, and show
        what was done, and how long it took. In modes `plan` and `verify` only the decision is
        shown; in mode `revert` nothing is: `revert` undoes the blocks.
        """
        with self._cell():
            mine = [d.block for d in self._decisions if d.block.entry == name]
            if not mine:
                raise Refused(problems=[self._agenda.undecided_problem(name)])
            if self.parameters.mode == "revert":
                return
            names = [d.block.name for d in self._decisions]
            for block in mine:
                before = names[: names.index(block.name)]
                self._worker.apply(block, before, reporters.EACH)

    def apply_all(self) -> None:
        """Do with every block, in order, what `apply` does, and show many in one frame: for a
        runbook of hundreds.

        Its columns are those of `reporters.Together`. What was done before a block that fails is
        shown, too.
        """
        with self._cell():
            self._require_decisions()
            if self.parameters.mode == "revert":
                return
            shows = reporters.Together()
            try:
                self._worker.apply_all([d.block for d in self._decisions], shows)
            finally:
                shows.show()

    def revert(self) -> VerdictCard | None:
        """In mode `revert`, undo what runs have applied, the last block first, each as `apply` does
        it: with the same locks, the same rows in the ledger, the same evidence. In other modes it
        does nothing, also after the verdict.

        If it is the last cell, below that of the verdict, it shows what has changed, and the
        verdict.
        """
        if self.parameters.mode != "revert":
            self._require_unchanged()
            return None
        with self._cell():
            for decision in reversed(self._decisions):
                self._worker.apply(decision.block, (), reporters.EACH)
        if not self._revert_ends:
            return None
        self._revert_ends = False
        self._note_verified(())
        display.frame(self.changes())
        return self.verdict()

    # -- after

    def verify(self, *names: str) -> pd.DataFrame:
        """Run the verify scripts of all blocks, or of those named: index `where`; columns `check`,
        `result`, `found`.

        The probes run in transactions that are rolled back. Raises Failed, naming every check that
        does not hold. In the modes `plan` and `revert`, and on a standby, nothing can be probed.
        """
        with self._cell():
            why_not = self._why_not_probed
            if why_not:
                self._note_verified(names)
                not_run = CheckResult(self.runbook, "behaviour", not_run=why_not)
                return display.named(checks.frame([not_run]), Kind.VERIFICATION)
            if self.parameters.mode == "verify":
                self._require_finished()
            work, look = self._sessions.work, self._sessions.look
            timeouts = self._worker.timeouts
            results: list[CheckResult] = []
            for about, path, script in self._agenda.verifications(names):
                results += verify.verify(work, look, about, script, timeouts, path=path)
            results += verify.without_script(self._agenda.unverified(names))
            results += self._check_batches()
            kind = Kind.VERIFIED_IN_PART if names else Kind.VERIFICATION
            shown = display.named(checks.frame(results), kind)
            self._require(results, shown, Failed, "The target is not in the verified state.")
            self._note_verified(names)
            return shown

    def changes(self) -> pd.DataFrame:
        """Show what has changed since the first `observe`: see `diff.diff`."""
        with self._cell():
            return display.named(self._observation.difference(), Kind.DIFFERENCE)

    def verdict(self) -> VerdictCard | None:
        """Compare the live catalog with the ledger once more, write the verdict, and end the run's
        sessions. What was observed before is observed again, if the runbook has not done it.

        Raises Failed unless the ledger lists every block, the catalog holds what was recorded, and
        `verify` passed after the last change; in mode `plan` it is enough that every block could be
        decided. In mode `revert` a cell of `revert` below this one gives the verdict.
        """
        if self._revert_ends:
            display.text("In mode `revert` the verdict is given by `run.revert()`, below.")
            return None
        with self._cell():
            final = self._require_finished()
            done = len(self._worker.outcomes)
            if self.parameters.mode != "plan" and self._verified != done:
                raise Failed.of(
                    "is not verified",
                    where=self.runbook,
                    remedy="run the cell of the verification first",
                )
            if self._observation.is_outdated(done):
                self._observation.snapshot(done)
            if self.parameters.writes:
                self._recorder.settle()
            self._put_on_shared_copy()
            pending: Sequence[str] = ()
            if self._rehearsal:
                pending = self._rehearsal.after
            reason = conclusion.summary(self.parameters, final, self._worker.outcomes, pending)
            return self._end(Verdict.PASSED, reason)

    def _put_on_shared_copy(self) -> None:
        """Run what was planned on the copy on which the next pending runbook is planned, if there
        is one.
        """
        if self.parameters.mode == "plan" and self._shared and not self._shared.last:
            project = self._preparation.project
            alone = arguments.command_again(project, self.runbook, self.parameters, "plan")
            self._shared.run_blocks(self._decisions, search_path.of(self._sessions.look), alone)

    # -- below the cells

    def _go_by_preparation(self) -> None:
        """Take up the plan that was prepared, and close the runs that have died before."""
        self._preparation.accept()
        if self._plan:
            self._recorder.plan = self._plan.digest
            if self._plan.steps:
                display.plan(self._plan, self._preparation.rehearsals)
        self._worker.approved = self._preparation.approved_sql
        self._worker.round_trip_ms = self._preparation.round_trip_ms
        if self.parameters.writes and self._recorder.unfinished_runs():
            self._recorder.close_dead()

    def _check_batches(self) -> list[CheckResult]:
        """Check that the batches of blocks that are done cover their keys."""
        names = [d.block.name for d in self._decisions if d.block.batching]
        if not names:
            return []
        entries = self._agenda.entries(names)
        done = [name for name in names if name in entries and entries[name].done]
        results = list(verify.check_batches(self._look, self.runbook, self._schema, done))
        put_aside = [f"{each.where}: {each.not_run}" for each in results if each.not_run]
        self._put_aside = "; ".join(put_aside)
        return results

    def _note_verified(self, names: Sequence[str]) -> None:
        if not names:
            self._verified = len(self._worker.outcomes)

    @property
    def _why_not_probed(self) -> str:
        """Why behaviour cannot be probed; empty if it can."""
        if self.parameters.mode in ("plan", "revert"):
            return f"mode {self.parameters.mode}"
        if self._identity.recovery == "standby" and not self._rehearsal:
            return "a standby takes no temporary tables"
        return ""

    @staticmethod
    def _require(
        results: Sequence[CheckResult],
        shown: pd.DataFrame,
        error: type[RunbookError],
        message: str,
    ) -> None:
        """Show the frame and raise, if something does not hold."""
        # Jupyter shows no value of a cell that raises.
        if any(result.problem for result in results):
            display.frame(shown)
        checks.require(results, error, message)

    def _require_decisions(self) -> None:
        if not self._decisions:
            remedy = "run the cell of the preconditions first"
            raise Refused.of("nothing is decided", where=self.runbook, remedy=remedy)

    def _require_finished(self) -> list[Decision]:
        """Decide about every block once more, and return the decisions. Raises Failed unless all
        blocks are in place; not in mode `plan`.
        """
        self._require_decisions()
        self._agenda.state.forget()
        final = self._agenda.decide_now([d.block for d in self._decisions])
        if self.parameters.mode != "plan":
            results = verify.check_finished(final)
            checks.require(results, Failed, "The target is not in the verified state.")
        return final

    if not TYPE_CHECKING:  # to mypy a name that is not there is a mistake

        def __getattr__(self, name: str) -> Any:
            """Return a cell by its name until version 0.1, and warn: the next has forgotten it."""
            if name not in _FORMER:
                raise AttributeError(f"a run has no cell {name!r}")
            now = _FORMER[name]
            warnings.warn(f"run.{name} is now run.{now}", DeprecationWarning, stacklevel=2)
            return getattr(self, now)
