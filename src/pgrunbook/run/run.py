"""A run: one execution of a runbook against a target. Its methods are the runbook's cells, from top
to bottom.
"""

from __future__ import annotations

import getpass
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from IPython.core.getipython import get_ipython

from pgrunbook import checks
from pgrunbook.admit import variants
from pgrunbook.applying.apply_blocks import Worker
from pgrunbook.errors import Failed, Problem, Refused, RunbookError, Verdict
from pgrunbook.ledger.origin import Standing
from pgrunbook.ledger.run_rows import Recorder, so_far
from pgrunbook.planning import decisions, preflight, right_target
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres import catalog, target
from pgrunbook.postgres.catalog import Connection, Snapshot
from pgrunbook.postgres.identity import Identity, identify
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.records.card import VerdictCard
from pgrunbook.records.format.parts import Card, Kind
from pgrunbook.records.plan import Plan
from pgrunbook.run import conclusion, display, sql_magic, target_card, verify
from pgrunbook.run.before_and_after import Observation
from pgrunbook.run.prepare import Preparation
from pgrunbook.run.rehearsal import Rehearsal
from pgrunbook.runbooks import cells, credentials, parameters, targets
from pgrunbook.runbooks.blocks import Source
from pgrunbook.runbooks.fingerprints import Sources
from pgrunbook.runbooks.project import Project

_FORMER = {
    "identity": "target",
    "sources": "files",
    "circumstances": "activity",
    "admit": "allow",
    "decisions": "plan",
    "difference": "changes",
    "finish": "verdict",
}


def begin(runbook: str, namespace: Mapping[str, Any]) -> Run:
    """Begin a run: check the parameters, read the SQL, reach the target. Call it as
    `begin("001_name", globals())`.

    `namespace` holds the values of the cell tagged `parameters` and of the one that papermill
    injects. Raises Refused for bad parameters, bad SQL, or a target that is not what it should be;
    LockedOut if another run is at work there.
    """
    project = Project.find()
    notebook = project.runbook(runbook)
    declaration = parameters.declared(notebook)
    given = parameters.given(declaration, namespace)
    chosen = parameters.validate(declaration, given)
    source = Source.read(project.sql(notebook.stem))
    target = targets.resolve(chosen.target, project)
    secrets = credentials.of_target(target)
    held = [
        *source.holding(secrets),
        *cells.secrets(notebook, secrets),
        *parameters.holding(given, secrets),
    ]
    if held:
        raise Refused("The runbook holds a secret: nothing was started.", problems=held)
    for earlier in [value for value in namespace.values() if isinstance(value, Run)]:
        # The same cell, run again: it holds the lock that this run needs.
        earlier.close("given up for another run in the same kernel")
    changes = partial(parameters.changes, declaration, namespace, given)
    return Run(
        project, notebook.stem, chosen, source, target, Sources.of(notebook, source), changes
    )


class Column(NamedTuple):
    """A column of a table."""

    table: str
    column: str


class Run:
    """One execution of a runbook. The cells call its methods in order; each shows a frame, and
    raises if the run cannot go on. What was committed is in the ledger whatever happens.
    """

    def __init__(
        self,
        project: Project,
        runbook: str,
        chosen: parameters.Parameters,
        source: Source,
        target: target.Target,
        sources: Sources,
        changes: Callable[[], Sequence[Problem]],
    ) -> None:
        self.runbook = runbook
        self._changes = changes  # of the parameters, since the run began
        self._sources = sources
        self.parameters = chosen
        # Taken away, as a second run in this kernel is another one.
        self.run_id = os.environ.pop(parameters.RUN_ID, "") or str(uuid.uuid4())
        self.operator = chosen.operator or getpass.getuser()
        self.started_at = datetime.now(UTC)
        self._closed = False
        # how many blocks had been dealt with when everything was verified
        self._verified: int | None = None
        self._verdict: Verdict | None = None
        label = f"{self.run_id[:8]} {runbook}"
        self._rehearsal = (
            Rehearsal(project, target, chosen.schema_, label) if chosen.mode == "rehearse" else None
        )
        reached = self._rehearsal.target if self._rehearsal else target
        self._sessions = Sessions(reached, chosen.schema_, label, chosen.statement_timeout)
        secrets = credentials.of_target(target)
        self._recorder = Recorder(
            self._sessions, self.run_id, runbook, self.operator, chosen, secrets=secrets
        )
        self._agenda = Agenda(
            self._sessions,
            runbook,
            chosen.schema_,
            source,
            reverting=chosen.mode == "revert",
            discard=chosen.discarded,
        )
        self._worker = Worker(self._sessions, self._agenda, self._recorder, chosen)
        self._observation = Observation(self._sessions, chosen.schema_, self._rehearsal)
        try:
            self._identity = self._check_target(target, project)
        # of a run that nobody gets, JupyterLab's kernel would keep the sessions and the copy
        except BaseException:
            self.close()
            raise
        self._preparation = Preparation(
            project,
            target,
            self._identity,
            self._standing,
            sources,
            chosen,
            self.operator,
            self._agenda,
            self._rehearsal,
        )
        if shell := get_ipython():
            display.install(shell)
            sql_magic.register(shell, self._sessions.open_look)

    def _check_target(self, target: target.Target, project: Project) -> Identity:
        """Who answers there: it must be who was meant, have the schema, and for a run that writes,
        be free.
        """
        look = self._rehearsal.look if self._rehearsal else self._look
        identity = self._rehearsal.identity if self._rehearsal else identify(look)
        right_target.check_identity(target, identity)
        schema = preflight.schema(self._look, self._schema)
        checks.require(schema, Refused, "The schema cannot be used: nothing was changed.")
        self._standing = Standing.of(look)
        if self.parameters.mode in ("apply", "revert"):
            right_target.check_name(target, identity, self._standing, project)
            self._recorder.standing = self._standing
        if self.parameters.writes and identity.recovery == "primary":
            self._sessions.lock()
        if self._rehearsal:
            self._rehearsal.repeat_ledger(self._sessions.work, self.runbook)
        return replace(identity, server=self._standing.server)

    @property
    def _decisions(self) -> Sequence[Decision]:
        return self._preparation.decisions

    @property
    def _plan(self) -> Plan | None:
        return self._preparation.plan

    @property
    def _schema(self) -> str:
        return self.parameters.schema_

    @property
    def _look(self) -> Connection:
        return self._sessions.look

    @property
    def target(self) -> pd.DataFrame:
        """The target's identity card and this run's: index `identity`, column `value`."""
        with self._ending():
            state = "died" if self._sessions.locked else "at work, or died"
            unfinished = {
                f"run {row['run_id'][:8]}": f"{state}; {so_far(row)}"
                for row in self._recorder.unfinished()
            }
            there = self._rehearsal.there if self._rehearsal else self._identity
            card = target_card.card(
                there,
                self.parameters,
                server=str(self._standing),
                run=self.run_id,
                operator=self.operator,
                started_at=self.started_at.isoformat(timespec="seconds"),
                versions=self._sources.versions,
                **(self._rehearsal.facts if self._rehearsal else {}),
            )
            frame = target_card.frame(card, unfinished)
            return display.named(frame, Kind.IDENTITY, target=card)

    @property
    def files(self) -> pd.DataFrame:
        """What is run: index `file`; columns `deploy`, `verify`, `revert`: how the SHA-256 of each
        file begins.
        """
        return display.named(self._sources.frame(), Kind.SOURCES, files=self._sources.files)

    def activity(self) -> pd.DataFrame:
        """What is going on in the database: index `what`; columns `found`, `remark` (str).

        Its size, sessions, oldest transaction id and durability; transactions open for more than a
        minute, and prepared ones; replicas and replication slots; indexes of the schema that are
        not valid; vacuums at work. A row says so if the role is not shown all of it.
        """
        with self._ending():
            found = catalog.frame(
                self._preparation.look,
                "circumstances",
                ["what"],
                schema=self._schema,
                longer_than="1 minute",
            )
            return display.named(found, Kind.CIRCUMSTANCES)

    # -- what the runbook works on
    # ---------------------------------------------------------------------------

    def locate(self, **candidates: Sequence[str]) -> Column:
        """The one table of the candidates that is there, and the one column of the candidates that
        it has.

        Takes two lists, each under the name of a parameter of the runbook:
        `locate(users_table=["users", "people"], role_column=["role"])`. A parameter that is not
        empty is the only candidate. What is found becomes the value of the placeholders of the same
        names. If it is not plain which one is meant, because none is there or several are, the
        preconditions refuse the run and name the parameter.
        """
        with self._ending():
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
        with self._ending():
            if self._rehearsal:
                self._rehearsal.fill_lookups(self._sessions.work, value, columns)
            return display.named(
                variants.frame(self._agenda.admit(value, columns, by, then)), Kind.ADMISSION
            )

    # -- before
    # ----------------------------------------------------------------------------------------------

    def preconditions(self) -> pd.DataFrame:
        """Check everything that the blocks need, and decide about each: index `where`; columns
        `check`, `result`, `found`. Raises Refused, naming every problem at once, before anything is
        changed.
        """
        with self._ending():
            results = self._preparation.check()
            shown = display.named(checks.frame(results), Kind.PRECONDITIONS)
            if self._plan and not self._preparation.approved:
                display.plan(self._plan, sql_too=True)
            if self.parameters.mode != "verify" or self._agenda.problems:
                self._require(
                    results, shown, Refused, "The target is not ready: nothing was changed."
                )
            self._preparation.accept()
            self._recorder.plan = self._plan.digest if self._plan else ""
            self._worker.approved = self._preparation.approved_sql
            self._worker.round_trip_ms = self._preparation.round_trip_ms
            if self.parameters.writes and self._recorder.unfinished():
                self._recorder.close_dead()
            return shown

    def observe(self, *also: str) -> Snapshot:
        """The tables that the blocks concern, and others named, as they are now. The first one is
        the `before`.
        """
        with self._ending():
            self._observation.choose(
                [*also, *(key.table for d in self._decisions for key in d.block.facts)]
            )
            return self._observation.snapshot(len(self._worker.outcomes))

    def plan(self) -> pd.DataFrame:
        """What will be done with each block: index `block`; columns `title`, `decision`,
        `reason`.
        """
        if self._plan and self._plan.steps:
            display.plan(self._plan, self._preparation.rehearsals())
        if self._rehearsal:
            pending = [d.block for d in self._decisions if d.pending]
            display.frame(display.named(self._rehearsal.hazards(pending), Kind.HAZARDS))
        return display.named(decisions.frame(self._decisions), Kind.DECISIONS)

    def columns(self, table: str) -> pd.DataFrame:
        """The columns of one table as it is now: index `column`; `type`, `nullable`, `default`,
        `comment`.
        """
        with self._ending():
            found = catalog.frame(
                self._look, "columns", ["column"], schema=self._schema, tables=[table]
            )
            return display.named(found.drop(columns="table"), Kind.COLUMNS, table=table)

    def expect(self, tables: Sequence[str], expected: Mapping[str, str]) -> pd.DataFrame:
        """Columns that several tables should have, with their types: index `table`, `column`.

        Columns: `present` (yes or NO), `type`, `nullable`, `default`, `as_expected` (yes or NO),
        all str.
        """
        with self._ending():
            names = list(dict.fromkeys(tables))
            found = catalog.frame(
                self._look, "columns", ["table", "column"], schema=self._schema, tables=names
            )
            return display.named(
                verify.expected_columns(found, tables, expected), Kind.EXPECTED_COLUMNS
            )

    # -- blocks
    # ----------------------------------------------------------------------------------------------

    def apply(self, name: str) -> None:
        """Do what was decided about the block `name`, or each block of the folder `name`, and show
        what, and how long it took. In modes `plan` and `verify` only the decision is shown; in mode
        `revert` it is `revert` that does it.
        """
        with self._ending():
            mine = [d.block for d in self._decisions if d.block.entry == name]
            if not mine:
                raise Refused(problems=[self._agenda.undecided(name)])
            if self.parameters.mode == "revert":
                return
            for block in mine:
                before = [d.block.name for d in self._decisions]
                self._worker.apply(block, before[: before.index(block.name)], display.EACH)

    def apply_all(self) -> None:
        """Do with every block, in order, what `apply` does, and show many in one frame: for a
        runbook of hundreds.

        Columns: see `display.Together`. What was done before a block that fails is shown too.
        """
        with self._ending():
            self._require_decisions()
            if self.parameters.mode == "revert":
                return
            shows = display.Together()
            try:
                self._worker.apply_all([d.block for d in self._decisions], shows)
            finally:
                shows.show()

    def revert(self) -> None:
        """In mode `revert`, undo what runs have applied, the last block first, each as `apply` does
        it: with the same locks, the same rows in the ledger, the same evidence. In other modes
        nothing.
        """
        with self._ending():
            for decision in reversed(self._decisions if self.parameters.mode == "revert" else ()):
                self._worker.apply(decision.block, (), display.EACH)

    # -- after
    # ----------------------------------------------------------------------------------------------

    def verify(self, *names: str) -> pd.DataFrame:
        """Run the verify scripts of all blocks, or of those named: index `where`; columns `check`,
        `result`, `found`.

        The probes run in transactions that are rolled back. Raises Failed, naming every check that
        does not hold. In the modes `plan` and `revert`, and on a standby, nothing can be probed.
        """
        with self._ending():
            if why := self._unprovable:
                self._note_verified(names)
                unproven = checks.frame(
                    [checks.CheckResult(self.runbook, "behaviour", not_run=why)]
                )
                return display.named(unproven, Kind.VERIFICATION)
            if self.parameters.mode == "verify":
                self._finished()
            results = [
                result
                for about, script in self._agenda.verifications(names)
                for result in verify.verify(
                    self._sessions.work, about, script, self._worker.timeouts
                )
            ]
            results += verify.unverified(self._agenda.unverified(names))
            kind = Kind.VERIFIED_IN_PART if names else Kind.VERIFICATION
            shown = display.named(checks.frame(results), kind)
            self._require(results, shown, Failed, "The target is not in the verified state.")
            self._note_verified(names)
            return shown

    def _note_verified(self, names: Sequence[str]) -> None:
        if not names:
            self._verified = len(self._worker.outcomes)

    @property
    def _unprovable(self) -> str:
        """Why behaviour cannot be probed; empty if it can."""
        if self.parameters.mode in ("plan", "revert"):
            return f"mode {self.parameters.mode}"
        standby = self._identity.recovery == "standby" and not self._rehearsal
        return "a standby takes no temporary tables" if standby else ""

    @staticmethod
    def _require(
        results: Sequence[checks.CheckResult],
        shown: pd.DataFrame,
        error: type[RunbookError],
        message: str,
    ) -> None:
        """Show the frame and raise, if something does not hold: a cell that raises shows no
        value.
        """
        if any(result.problem for result in results):
            display.frame(shown)
        checks.require(results, error, message)

    def changes(self) -> pd.DataFrame:
        """What has changed since the first `observe`: see `diff.diff`."""
        with self._ending():
            return display.named(self._observation.difference(), Kind.DIFFERENCE)

    def verdict(self) -> VerdictCard:
        """Compare the live catalog with the ledger once more, write the verdict, and end the run's
        sessions. What was observed before is in the record as it is after, whether or not the
        runbook observes it again.

        Raises Failed unless the ledger lists every block, the catalog holds what was recorded, and
        `verify` passed after the last change; in mode `plan` it is enough that every block could be
        decided.
        """
        with self._ending():
            final = self._finished()
            if self.parameters.mode != "plan" and self._verified != len(self._worker.outcomes):
                raise Failed.of(
                    "is not verified",
                    where=self.runbook,
                    remedy="run the cell of the verification first",
                )
            if self._observation.lacks(done := len(self._worker.outcomes)):
                self._observation.snapshot(done)
            if self.parameters.writes:
                self._recorder.settle()
            return self._end(
                Verdict.PASSED, conclusion.summary(self.parameters, final, self._worker.outcomes)
            )

    def _require_decisions(self) -> None:
        if not self._decisions:
            raise Refused.of(
                "nothing is decided",
                where=self.runbook,
                remedy="run the cell of the preconditions first",
            )

    def _finished(self) -> list[Decision]:
        """Decide about every block once more; but for mode `plan`, raise Failed unless all of them
        are in place.
        """
        self._require_decisions()
        final = self._agenda.decide_now([d.block for d in self._decisions])
        if self.parameters.mode != "plan":
            checks.require(
                verify.finished(final), Failed, "The target is not in the verified state."
            )
        return final

    def close(self, reason: str = "given up by hand") -> None:
        """End the run's sessions, and with them its lock. A run that has written but not ended is
        `interrupted`, for this reason.
        """
        if not self._closed and self._recorder.begun and not self._verdict:
            self._end(Verdict.INTERRUPTED, reason)
        self._sessions.close()
        if self._rehearsal:
            self._rehearsal.close()
        self._closed = True

    def __getattr__(self, name: str) -> Any:
        """A cell by its name until version 0.1, which warns; the next version has it no more."""
        if name not in _FORMER:
            raise AttributeError(f"a run has no cell {name!r}")
        warnings.warn(f"run.{name} is now run.{_FORMER[name]}", DeprecationWarning, stacklevel=2)
        return getattr(self, _FORMER[name])

    # -- inside
    # ----------------------------------------------------------------------------------------------

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Turn what goes wrong inside into one of our errors, and write into the ledger how the run
        ended.
        """
        if self._closed:
            raise Refused(
                "The run has ended. To begin another, run the cells again from the target on."
            )
        # the run goes on as it began: to do what they say now is not its business
        if changed := self._changes():
            raise Refused("The parameters are not those that the run began with.", problems=changed)
        try:
            yield
            return
        except (Exception, KeyboardInterrupt) as exc:
            error = conclusion.error(
                exc, self.parameters, self._sessions, begun=self._recorder.begun
            )
            # a fault of ours: it is shown as it is, and the ledger knows that the run failed
            if error is None:
                self._end(Verdict.FAILED, f"{type(exc).__name__}: {exc}")
                raise
        if remark := self._end(error.verdict, error.reason).card.ledger_remark:
            error.problems += (Problem(f"the verdict {remark}", where="ledger"),)
        raise error

    def _end(self, verdict: Verdict, reason: str) -> VerdictCard:
        remark = self._recorder.end(verdict, reason)
        held = self._worker.long_locks()
        self._verdict = verdict
        if verdict is Verdict.PASSED:
            self.close()
        about = self.parameters, self._identity, self.started_at, self._plan
        card = Card(
            verdict=verdict,
            reason=reason,
            run=self.run_id,
            runbook=self.runbook,
            long_locks=held,
            ledger_remark=remark,
            **conclusion.facts(*about),
        )
        return VerdictCard(card)
