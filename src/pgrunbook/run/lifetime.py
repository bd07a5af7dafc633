"""How a run begins and ends: its sessions on the target, what works in them, and its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from IPython.core.getipython import get_ipython

from pgrunbook.applying.apply_blocks import Worker
from pgrunbook.errors import (
    Failed,
    Interrupted,
    Problem,
    Refused,
    RunbookError,
    Verdict,
    first_line,
)
from pgrunbook.ledger.run_rows import Recorder, progress_of
from pgrunbook.ledger.server_match import ServerMatch
from pgrunbook.planning import checks, preflight, right_target, server_checks
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.shared_copy import SharedCopy
from pgrunbook.postgres import os_user
from pgrunbook.postgres.identity import Identity, identify
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.records.card import VerdictCard
from pgrunbook.records.format.parts import Card, IdentityCard
from pgrunbook.records.plan import Plan
from pgrunbook.run import conclusion, display, sql_magic, target_card
from pgrunbook.run.observation import Observation
from pgrunbook.run.prepare import Preparation
from pgrunbook.run.rehearsal import Rehearsal
from pgrunbook.runbooks import credentials, parameters, targets
from pgrunbook.runbooks.fingerprints import Sources
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.source import Source

if TYPE_CHECKING:
    from pgrunbook.postgres.twin_server import Twin


class Lifetime:
    """A run without its cells, which `Views` and `Run` add: its sessions, its rows in the ledger,
    its decisions. It ends once, whatever goes wrong; then its sessions are closed.

    `changes` tells which parameters have got another value since the run began. `revert_ends`: the
    notebook's last cell is that of `revert`, which then gives the verdict in mode revert.
    """

    def __init__(
        self,
        project: Project,
        runbook: str,
        chosen: parameters.Parameters,
        source: Source,
        target: Target,
        sources: Sources,
        changes: Callable[[], Sequence[Problem]],
        *,
        revert_ends: bool = False,
    ) -> None:
        self.runbook = runbook
        self._changes = changes
        self._revert_ends = revert_ends
        self._sources = sources
        self.parameters = chosen
        self.run_id = parameters.run_id()
        # a second run in this kernel is to get an id of its own
        os.environ.pop(parameters.RUN_ID, None)
        self.operator = chosen.operator or os_user.own_name()
        parameters.require_said(operator=self.operator)
        self.started_at = datetime.now(UTC)
        self._closed = False
        # how many blocks had been dealt with when everything was verified
        self._verified: int | None = None
        # the rows that batches have put aside, for the verdict's card
        self._put_aside = ""
        self._verdict: Verdict | None = None
        self._open(project, target, source)
        self._connect(project, target)
        self._preparation = Preparation(
            project,
            target,
            self._identity,
            self._server_match,
            sources,
            chosen,
            self.operator,
            self._agenda,
            self._rehearsal,
        )
        shell = get_ipython()
        if shell:
            display.install(shell)
            sql_magic.register(shell, self._sessions.open_look)

    def _open(self, project: Project, target: Target, source: Source) -> None:
        """Make what the run works with: its sessions on the target, or on a copy of it, and what
        decides, applies, observes and records in them.
        """
        chosen = self.parameters
        label = f"{self.run_id[:8]} {self.runbook}"
        self._rehearsal: Rehearsal | None = None
        reached, path = target, None
        self._shared = SharedCopy.from_environment()
        if chosen.mode == "rehearse" or (self._shared and self._shared.after):
            self._rehearsal = Rehearsal(project, target, chosen.schema_, label, self._shared)
            reached, path = self._rehearsal.target, self._rehearsal.path
        self._sessions = Sessions(
            reached,
            chosen.schema_,
            label,
            chosen.statement_timeout,
            alone=source.elsewhere,
            path=path,
        )
        self._recorder = Recorder(
            self._sessions,
            self.run_id,
            self.runbook,
            self.operator,
            chosen,
            secrets=credentials.passwords_of(target),
        )
        self._agenda = Agenda(
            self._sessions,
            self.runbook,
            chosen.schema_,
            source,
            reverting=chosen.mode == "revert",
            discard=chosen.discarded,
        )
        self._agenda.twins.make = partial(self._twin, project, reached)
        self._agenda.twins.adopt = chosen.adopt
        self._worker = Worker(self._sessions, self._agenda, self._recorder, chosen)
        self._observation = Observation(self._sessions, chosen.schema_, self._rehearsal)

    def _connect(self, project: Project, target: Target) -> None:
        """Connect, and check who answers."""
        # If that fails everything is closed: nobody gets this object to close, and JupyterLab's
        # kernel would keep its sessions and its copy.
        try:
            self._identity = self._check_target(target, project)
        except psycopg.Error as exc:
            with closing(self):
                error = conclusion.error(exc, self.parameters, self._sessions, begun=False)
            raise error or Failed(first_line(exc)) from exc
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _twin(self, project: Project, reached: Target, *, may_grant: bool = True) -> Iterator[Twin]:
        """Make a twin of what this run works on; `may_grant`: see `make_twin`."""
        from pgrunbook.postgres import twin_server  # imported here, as few runs need it

        look = self._sessions.look
        server = targets.for_twins(project, look.info.server_version // 10_000)
        making = twin_server.make_twin(reached, look, server, self.run_id[:8], may_grant=may_grant)
        with making as twin:
            yield twin

    def _check_target(self, target: Target, project: Project) -> Identity:
        """Return who answers. Raises Refused unless it is who was meant and has the schema;
        LockedOut if another run is at work there, and this one writes.
        """
        if self._rehearsal:
            look, identity = self._rehearsal.look, self._rehearsal.identity
        else:
            look = self._look
            identity = identify(look)
        right_target.check_identity(target, identity)
        schema = preflight.check_schema(self._look, self._schema)
        schema += server_checks.check_shadows(self._look, self._schema)  # for `%sql`, from now on
        checks.require(schema, Refused, "The schema cannot be used: nothing was changed.")
        self._server_match = ServerMatch.of(look)
        if self.parameters.mode in ("apply", "revert"):
            right_target.check_name(target, identity, self._server_match, project)
            self._recorder.server_match = self._server_match
        if self.parameters.writes and identity.recovery == "primary":
            self._sessions.lock()
        if self._rehearsal:
            self._rehearsal.repeat_ledger(self._sessions.work, self.runbook)
        return replace(identity, server=self._server_match.server)

    def _card(self) -> tuple[IdentityCard, dict[str, str]]:
        """Return the card of the target, and what is known of runs that have not ended."""
        # With the run's lock here, nobody else can be at work.
        state = "died" if self._sessions.locked else "at work, or died"
        unfinished = {}
        for row in self._recorder.unfinished_runs():
            unfinished[f"run {row['run_id'][:8]}"] = f"{state}; {progress_of(row)}"
        given = parameters.non_defaults(self.parameters)
        identity, of_copy = self._identity, {}
        if self._rehearsal:
            identity, of_copy = self._rehearsal.there, self._rehearsal.facts
        card = target_card.card(
            identity,
            self.parameters,
            server=str(self._server_match),
            run=self.run_id,
            operator=self.operator,
            given={name: value for name, (value, _) in given.items()},
            started_at=self.started_at.isoformat(timespec="seconds"),
            versions=self._sources.versions,
            **of_copy,
        )
        return card, unfinished

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
    def _look(self) -> Session:
        return self._sessions.look

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

    @contextmanager
    def _cell(self) -> Iterator[None]:
        """Do the work of a cell in the `with` block. What goes wrong there becomes one of our
        errors, and ends the run: the ledger is told how.
        """
        if self._closed:
            raise self._already_ended()
        self._require_unchanged()
        try:
            yield
            return
        except (Exception, KeyboardInterrupt) as exc:
            error = conclusion.error(
                exc, self.parameters, self._sessions, begun=self._recorder.begun
            )
            # A fault of ours is shown as it is, with its traceback; the ledger says that it failed.
            if error is None:
                self._end(Verdict.FAILED, f"{type(exc).__name__}: {exc}")
                raise
        remark = self._end(error.verdict, error.reason).card.ledger_remark
        if remark:
            error.problems += (Problem(f"the verdict {remark}", where="ledger"),)
        raise error

    def _already_ended(self) -> RunbookError:
        """Return the error of a cell that comes after the run's end. Refused says that nothing was
        changed: it is for a run that has written nothing.
        """
        told = "The run has ended. To begin another, run the cells again from the target on."
        if not self._recorder.begun:
            return Refused(told)
        if self._verdict is Verdict.INTERRUPTED:
            return Interrupted(told)
        return Failed(told)

    def _require_unchanged(self) -> None:
        """Refuse to go on if somebody has edited the parameters: the run goes on as it began."""
        changed = self._changes()
        if changed:
            kind = Failed if self._recorder.begun else Refused
            raise kind("The parameters are not those that the run began with.", problems=changed)

    def _end(self, verdict: Verdict, reason: str) -> VerdictCard:
        """Write the verdict into the ledger, and return its card. A run that passed is closed."""
        remark = self._recorder.end(verdict, reason)
        held = self._worker.long_locks()
        self._verdict = verdict
        if verdict is Verdict.PASSED:
            self.close()
        facts = conclusion.facts(self.parameters, self._identity, self.started_at, self._plan)
        card = Card(
            verdict=verdict,
            reason=reason,
            run=self.run_id,
            runbook=self.runbook,
            long_locks=held,
            ledger_remark=remark,
            put_aside=self._put_aside,
            **facts,
        )
        return VerdictCard(card)
