"""What a worker does with one target: run the runbook, plan or verify it, or look for drift.

Tasks may run on another machine. So they take and return values that can be pickled, and raise
nothing of ours: every end is a verdict with a reason.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pgrunbook import signals
from pgrunbook.errors import Refused, RunbookError, Verdict, first_line
from pgrunbook.fleet import plans
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.ledger import ledger
from pgrunbook.planning import drift_report
from pgrunbook.postgres.connection import connect
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.naming import records_of, seal_of
from pgrunbook.runbooks import fingerprints, targets
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.runner.warm import WarmWorker

TaskResult = dict[str, Any]


def run_one(
    root: str,
    fleet: str,
    runbook: str,
    target: Mapping[str, str],
    given: Mapping[str, Any],
    mode: str,
    run_id: str,
    *,
    cell_timeout_s: float,
    begun_with: str = "",
    approved: Mapping[str, str] | None = None,
    once: bool = False,
) -> TaskResult:
    """Run the runbook against a target of the fleet, under this id, and seal its record below
    `outputs/<fleet>/<target>/`. Returns `verdict`, `reason` and `seconds`.

    - `cell_timeout_s`: a cell that takes longer is interrupted, and the run with it.
    - `begun_with`: the digest of `code_digest` that the fleet's run began with; with other files
      the run is refused.
    - `approved`: the approval of a set, `set`, `list` and `approver`; a target with another plan is
      refused.
    - `once`: do nothing if the target's ledger has the id: some executors begin a task again.
    """

    def work(project: Project, each: FleetTarget) -> TaskResult:
        if once and _ledger_has_run(project, each, run_id):
            # The coordinator asks the ledger, which says how it has ended.
            return {"verdict": Verdict.INTERRUPTED, "reason": ""}
        if is_changed(project, runbook, begun_with):
            raise Refused.of(CHANGED)
        values = {**given, "mode": mode}
        if approved:
            planned = look(root, runbook, target, given, "plan", cell_timeout_s=cell_timeout_s)
            if planned["verdict"] != Verdict.PASSED:
                why = f"could not be planned: {planned['reason']}"
                return {"verdict": planned["verdict"], "reason": why}
            values |= _bind_to_plan(planned.get("plan"), approved)
        own = each.target_name(project), {**values, "schema": each.schema}
        folder = f"{fleet}/{each.name}"
        if once:  # an executor may have begun this task before, and lost its worker
            remove_unsealed(project.outputs / folder / runbook, run_id)
        _, ending = _worker_for(project, runbook).run(
            *own, run_id, folder=folder, cell_timeout_s=cell_timeout_s
        )
        return _result(ending)

    return _run_work(root, target, work)


# The waves before were run by other files: what they have proved says nothing about these.
CHANGED = "the runbook's files were changed since the fleet's run began"


def code_digest(project: Project, runbook: str) -> str:
    """Return the digest of what a runbook runs, as its files are now."""
    return fingerprints.code_digest(project.runbook(runbook), project.sql(runbook))


def is_changed(project: Project, runbook: str, begun_with: str) -> bool:
    """Return whether a runbook's files have another digest now; not if `begun_with` is empty."""
    try:
        return bool(begun_with) and code_digest(project, runbook) != begun_with
    except (OSError, Refused):  # the files are gone, or cannot be read any more
        return True


def remove_unsealed(folder: Path, run_id: str) -> None:
    """Remove the beginning of a record that a killed worker has left. The ledger does not have its
    run, so it begins again under the same id, and writes the record anew.
    """
    for notebook in records_of(folder, run_id):
        if not seal_of(notebook).exists():
            notebook.unlink()


def look(
    root: str,
    runbook: str,
    target: Mapping[str, str],
    given: Mapping[str, Any],
    mode: Literal["plan", "verify"],
    *,
    cell_timeout_s: float,
) -> TaskResult:
    """Run the runbook in a mode that only reads, and keep no record. Returns `verdict`, `reason`,
    `seconds` and, where there is one, `plan`: see `records.plan.Plan`.
    """

    def work(project: Project, each: FleetTarget) -> TaskResult:
        own = each.target_name(project), {**given, "schema": each.schema}
        record, ending = _worker_for(project, runbook).plan(
            *own, str(uuid.uuid4()), mode=mode, cell_timeout_s=cell_timeout_s
        )
        return {**_result(ending), "plan": record.plan if record else {}}

    return _run_work(root, target, work)


def find_drift(root: str, target: Mapping[str, str]) -> TaskResult:
    """Compare what runbooks have made on a target with what is there. Returns `verdict`, `reason`,
    `seconds`, and `drift`: see `drift_report.collect`.
    """

    def work(project: Project, each: FleetTarget) -> TaskResult:
        found = drift_report.collect(project, each.target_name(project), each.schema)["drift"]
        verdict = Verdict.FAILED if found else Verdict.PASSED
        return {"verdict": verdict, "reason": "", "drift": found}

    return _run_work(root, target, work)


# How long threads that were told to end may take. To begin a worker anew takes longer than this.
_THREADS_END_S = 0.5


def _run_work(
    root: str, target: Mapping[str, str], work: Callable[[Project, FleetTarget], TaskResult]
) -> TaskResult:
    """Do work on a target. Returns what came of it, whatever ends it, with `seconds` and `spent`:
    threads are left, which could show something in the next target's record.
    """
    began, before = time.monotonic(), {*threading.enumerate()}
    try:
        with signals.as_before():
            told = work(Project.find(Path(root)), FleetTarget(**target))
    except RunbookError as exc:
        told = {"verdict": exc.verdict, "reason": first_line(exc)}
    except KeyboardInterrupt:
        told = {"verdict": Verdict.INTERRUPTED, "reason": "stopped by a signal"}
    until = time.monotonic() + _THREADS_END_S
    while spent := any(each not in before for each in threading.enumerate()):
        if time.monotonic() > until:
            break
        time.sleep(0.005)
    return {**told, "seconds": round(time.monotonic() - began, 3), "spent": spent}


def _result(ending: Ending) -> TaskResult:
    """Return verdict and reason of a run. The reason is its first problem: that says more than the
    heading of the error.
    """
    reason = ending.reason
    if ending.problems:
        first = ending.problems[0]
        where = "" if first.where.startswith("target ") else first.where
        reason = ": ".join(filter(None, [where, first.what]))
    return {"verdict": ending.verdict, "reason": reason}


# The worker of this process, with mtime and size of the notebook's file when it was read.
_worker: tuple[tuple[int, int], WarmWorker] | None = None


def _worker_for(project: Project, runbook: str) -> WarmWorker:
    """Return the worker of this process for a runbook; a new one if its notebook or the project's
    settings have changed since.
    """
    from pgrunbook.runner.warm import WarmWorker

    global _worker
    notebook = project.runbook(runbook)
    there = notebook.stat()
    state = there.st_mtime_ns, there.st_size
    if _worker and _worker[0] == state:
        worker = _worker[1]
        if (worker.project, worker.notebook) == (project, notebook):
            return worker
    worker = WarmWorker(project, notebook)
    _worker = state, worker
    return worker


def _bind_to_plan(plan: Mapping[str, Any] | None, approved: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that bind a run to the plan which it has just made. Raises Refused if
    that plan is not in the approved set.
    """
    if not plan:
        return {}
    if plans.set_digest(plans.digest(plan), approved["list"]) != approved["set"]:
        raise Refused.of(f"plans otherwise than approved: {plans.summary(plan)}")
    return {"approved_plan": plan["digest"], "approver": approved["approver"]}


def _ledger_has_run(project: Project, each: FleetTarget, run_id: str) -> bool:
    target = targets.resolve(each.target_name(project), project)
    with connect(target, schema="pg_catalog", label="fleet", read_only=True) as conn:
        return ledger.exists(conn) and ledger.has_run(conn, run_id)
