"""What came of a target's run, as the target's ledger says.

What the task returned counts only where the ledger has nothing: the worker may have been killed
behind a commit, and a task may be begun twice.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from pgrunbook.errors import RunbookError, Verdict, first_line
from pgrunbook.fleet.events import EventKind
from pgrunbook.fleet.state import State, TargetState
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.ledger import ledger
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.run_sessions import wait_for_end
from pgrunbook.postgres.session import Session
from pgrunbook.records import sealing
from pgrunbook.records.archive import Archive, sha256_of
from pgrunbook.records.backfill import NOT_DONE
from pgrunbook.records.naming import records_of
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import redact

# Ledgers asked at once: one that does not answer must not hold up the others.
ASKING = 4
# Sessions that are kept for the next question. All tenants of one database share one.
_KEPT = 16


class TargetOutcome(NamedTuple):
    """How a target's run ended, and why. `not_done`: that is no failure, the next run goes on."""

    verdict: Verdict
    reason: str
    not_done: bool = False


@dataclass(frozen=True, slots=True)
class LedgerAnswer:
    """What a ledger says of a run.

    - `known`: whether it has the run; `verdict`: that of the run with its reason, if it has ended.
    - `last`: the verdict of the runbook's last run in the schema, where it does not have this one.
    - `why`: why the ledger could not be asked; else empty.
    """

    known: bool = False
    verdict: tuple[Verdict, str] | None = None
    last: str = ""
    why: str = ""


def judge(
    told: LedgerAnswer,
    returned: Mapping[str, Any] | None,
    mode: str,
    lost: str = "its worker is gone",
) -> TargetOutcome:
    """Decide what came of a run. `returned` is what its task said; None if the task was lost, and
    `lost` says how.
    """
    said = None
    if returned:
        said = TargetOutcome(Verdict(returned["verdict"]), returned["reason"])
    if told.verdict:
        verdict, reason = told.verdict
        not_done = verdict is Verdict.INTERRUPTED and reason.startswith(NOT_DONE)
        # The ledger's reason begins with the heading of the error; the task's is the problem.
        if said and said.verdict is verdict:
            reason = said.reason or reason
        return TargetOutcome(verdict, reason.removeprefix(f"{NOT_DONE} "), not_done)
    if told.known:
        return TargetOutcome(Verdict.INTERRUPTED, "it has begun and not ended, as the ledger says")
    if told.why:
        if said and said.verdict in (Verdict.REFUSED, Verdict.LOCKED_OUT):
            return said
        why = f"what came of it is not known: {told.why}"
        return TargetOutcome(Verdict.INTERRUPTED, why)
    # From here on: the ledger answers, and does not have the run, which has written nothing.
    if said is None:
        return TargetOutcome(Verdict.INTERRUPTED, f"nothing was begun: {lost}")
    # A run that finds nothing to do writes nothing. After a revert the last run need not have
    # passed: there may never have been one.
    nothing_to_do = mode == "revert" or told.last == Verdict.PASSED
    if said.verdict is Verdict.PASSED and not nothing_to_do:
        why = f"its task says passed, and the ledger {told.last or 'knows no run of it'}"
        return TargetOutcome(Verdict.INTERRUPTED, why)
    return said


class Ledgers:
    """Asks the ledgers of a fleet's targets. May be used by several threads at once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kept: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()
        self._silent: set[str] = set()

    def ask(self, target: FleetTarget, runbook: str, run_id: str) -> LedgerAnswer:
        """Return what the target's ledger says of a run, once the run's session there has ended.
        Reads only.
        """
        called = target.target_name(self._project)
        try:
            conn = self._take_session(called) or self._connect(called)
            try:
                told = self._read_ledger(conn, target, runbook, run_id)
            except BaseException:
                conn.close()
                raise
            self._give_back(called, conn)
        except (psycopg.Error, RunbookError) as exc:
            return LedgerAnswer(why=first_line(exc))
        return told

    def passed(self, progress: TargetState, runbook: str, mode: str) -> bool:
        """Return whether a target has passed, of which so far only a journal says so. A server that
        has not answered once is not asked about other targets.
        """
        called = progress.target.target_name(self._project)
        if called in self._silent:
            return False
        told = self.ask(progress.target, runbook, progress.run)
        if told.why:
            self._silent.add(called)
        if told.known or mode == "revert":
            return told.verdict is not None and told.verdict[0] is Verdict.PASSED
        return told.last == Verdict.PASSED

    def conclude(
        self, state: State, progress: TargetState, returned: Mapping[str, Any] | None, lost: str
    ) -> dict[str, Any]:
        """Return the event that says what came of a target's run, and seal its record if the worker
        did not get so far. `returned` and `lost` as in `judge`.
        """
        told = self.ask(progress.target, state["runbook"], progress.run)
        verdict, reason, not_done = judge(told, returned, state["mode"], lost)
        record, remark = self._find_record(state, progress), ""
        if told.known and not record:
            remark = "its record is not on this machine"
        elif record and not Archive(self._project.outputs).is_sealed(record):
            remark = self._seal(record)
        return {
            "event": EventKind.ENDED,
            "name": progress.target.name,
            "run": progress.run,
            "verdict": verdict,
            "reason": redact(reason),
            "not_done": not_done,
            "record": record.relative_to(self._project.outputs).as_posix() if record else "",
            "sha256": sha256_of(record) if record else "",
            "remark": redact(remark),
        }

    def _find_record(self, state: State, progress: TargetState) -> Path | None:
        """Return the executed notebook of the target's run, if it is on this machine."""
        folder = self._project.outputs / state["fleet"] / progress.target.name / state["runbook"]
        return next(records_of(folder, progress.run), None)

    def _seal(self, record: Path) -> str:
        """Seal the record of a run. Returns why that could not be done, or empty."""
        try:
            sealing.seal(self._project, record, by_hand=True)
        except RunbookError as exc:
            return f"its record is not sealed: {first_line(exc)}"
        return ""

    def _connect(self, called: str) -> Session:
        target = targets.resolve(called, self._project)
        return connect(target, schema="pg_catalog", label="fleet", read_only=True)

    @staticmethod
    def _read_ledger(conn: Session, target: FleetTarget, runbook: str, run_id: str) -> LedgerAnswer:
        conn.schema = target.schema  # the session may be one that another tenant had before
        wait_for_end(conn, run_id)
        if not ledger.exists(conn):
            return LedgerAnswer()
        if not ledger.has_run(conn, run_id):
            runs = ledger.runs(conn, runbook, target.schema)
            if not runs:
                return LedgerAnswer()
            return LedgerAnswer(last=runs[0]["verdict"] or "no verdict")
        return LedgerAnswer(known=True, verdict=ledger.verdict(conn, run_id))

    def _take_session(self, called: str) -> Session | None:
        """Take a session out of those that are kept, if there is one and it still answers."""
        with self._lock:
            conn = self._kept.pop(called, None)
        if conn is not None:
            with suppress(psycopg.Error):
                conn.execute("SELECT")
                return conn
            conn.close()
        return None

    def _give_back(self, called: str, conn: Session) -> None:
        with self._lock:
            before = self._kept.pop(called, None)
            self._kept[called] = conn
            oldest = self._kept.popitem(last=False)[1] if len(self._kept) > _KEPT else None
        for other in filter(None, (before, oldest)):
            other.close()

    def close(self) -> None:
        """End the sessions that are kept."""
        while self._kept:
            self._kept.popitem()[1].close()
