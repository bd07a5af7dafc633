"""What a worker does with one target: a run of the runbook, its plan, or a look for drift."""

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
    """Run the runbook in that mode against a target of the fleet, under that id, and seal its
    record below `outputs/<fleet>/<target>/`.

    Returns `verdict`, `reason` and `seconds`. With other files than the fleet's run was begun with,
    by the digest of `code`, it is refused. `approved` is the approval of a set: `set`, `list`
    and `approver`; a target that plans otherwise is refused. A cell that takes longer than
    `cell_timeout_s` is interrupted, and the run with it. With `once` it does nothing if the
    target's ledger knows the id already: some executors begin a task again.
    """

    def work(project: Project, each: FleetTarget) -> TaskResult:
        if once and _knows(project, each, run_id):
            # which says how it has ended
            return {"verdict": Verdict.INTERRUPTED, "reason": ""}
        if is_changed(project, runbook, begun_with):
            raise Refused.of(CHANGED)
        values = {**given, "mode": mode}
        if approved:
            planned = look(root, runbook, target, given, "plan", cell_timeout_s=cell_timeout_s)
            if planned["verdict"] != Verdict.PASSED:
                why = f"could not be planned: {planned['reason']}"
                return {"verdict": planned["verdict"], "reason": why}
            values |= _approval(planned.get("plan"), approved)
        own = each.target_name(project), {**values, "schema": each.schema}
        folder = f"{fleet}/{each.name}"
        if once:
            remove_unsealed(project.outputs / folder / runbook, run_id)
        _, ending = _warm(project, runbook).run(
            *own, run_id, folder=folder, cell_timeout_s=cell_timeout_s
        )
        return _told(ending)

    return _timed(root, target, work)


# What was proven by one wave would say nothing about the next.
CHANGED = "the runbook's files were changed since the fleet's run began"


def code_digest(project: Project, runbook: str) -> str:
    """The digest of what a runbook runs, as it is now."""
    return fingerprints.of_code(project.runbook(runbook), project.sql(runbook))


def is_changed(project: Project, runbook: str, begun_with: str) -> bool:
    """Whether it runs something else now than what has this digest, if there is one."""
    try:
        return bool(begun_with) and code_digest(project, runbook) != begun_with
    except (OSError, Refused):
        return True


def remove_unsealed(folder: Path, run_id: str) -> None:
    """Take away the beginning of a record that a worker has left which died before the ledger knew
    its run: the run begins again, under the same id.
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
    """Run the runbook in a mode that only reads, and write nothing, on the target or here. Returns
    `verdict`, `reason`, `seconds` and, where there is one, `plan`: see `records.plan.Plan`.
    """

    def work(project: Project, each: FleetTarget) -> TaskResult:
        own = each.target_name(project), {**given, "schema": each.schema}
        record, ending = _warm(project, runbook).plan(
            *own, str(uuid.uuid4()), mode=mode, cell_timeout_s=cell_timeout_s
        )
        return {**_told(ending), "plan": record.plan if record else {}}

    return _timed(root, target, work)


def find_drift(root: str, target: Mapping[str, str]) -> TaskResult:
    """Compare what runbooks have made on a target with what is there. Returns `verdict`, `reason`,
    `seconds`, and `drift`: see `drift_report.collect`.
    """

    def work(project: Project, each: FleetTarget) -> TaskResult:
        found = drift_report.collect(project, each.target_name(project), each.schema)["drift"]
        verdict = Verdict.FAILED if found else Verdict.PASSED
        return {"verdict": verdict, "reason": "", "drift": found}

    return _timed(root, target, work)


# How long threads may take to end that were told to: a worker that is begun anew takes longer.
_THREADS_END_S = 0.5


def _timed(
    root: str, target: Mapping[str, str], work: Callable[[Project, FleetTarget], TaskResult]
) -> TaskResult:
    """What came of work on a target, whatever ends it. `spent`: threads are left of it, which could
    show something in the next target's record.
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


def _told(ending: Ending) -> TaskResult:
    """How a run ended. What is wrong is told by the first problem, rather than by its kind: which
    target it is on is known.
    """
    reason = ending.reason
    if ending.problems:
        first = ending.problems[0]
        where = "" if first.where.startswith("target ") else first.where
        reason = ": ".join(filter(None, [where, first.what]))
    return {"verdict": ending.verdict, "reason": reason}


# The worker of this process, and the state of the notebook's file that it has read.
_worker: tuple[tuple[int, int], WarmWorker] | None = None


def _warm(project: Project, runbook: str) -> WarmWorker:
    """The worker of this process for a runbook; a new one if its notebook or the project has
    changed since.
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


def _approval(plan: Mapping[str, Any] | None, approved: Mapping[str, str]) -> dict[str, str]:
    """What the run is given so that it does what it has just planned, and nothing else. Raises
    Refused if that is not what was approved.
    """
    if not plan:
        return {}
    if plans.set_digest(plans.digest(plan), approved["list"]) != approved["set"]:
        raise Refused.of(f"plans otherwise than approved: {plans.summary(plan)}")
    return {"approved_plan": plan["digest"], "approver": approved["approver"]}


def _knows(project: Project, each: FleetTarget, run_id: str) -> bool:
    target = targets.resolve(each.target_name(project), project)
    with connect(target, schema="pg_catalog", label="fleet", read_only=True) as conn:
        return ledger.exists(conn) and ledger.has_run(conn, run_id)
