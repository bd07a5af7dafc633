"""What a worker does: one run of the runbook against one target, or its plan."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgrunbook import signals
from pgrunbook.errors import Refused, RunbookError, Verdict, first_line
from pgrunbook.fleet import plans
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.ledger import ledger
from pgrunbook.postgres.connection import connect
from pgrunbook.records.record import Record
from pgrunbook.runbooks import parameters, targets
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project


def run_one(
    root: str,
    fleet: str,
    runbook: str,
    target: Mapping[str, str],
    given: Mapping[str, Any],
    mode: str,
    run_id: str,
    *,
    approved: Mapping[str, str] | None = None,
    once: bool = False,
) -> dict[str, Any]:
    """Run the runbook in that mode against a target of the fleet, under that id, and seal its
    record below `outputs/<fleet>/<target>/`. Of mode `plan` no record is kept, and nothing is
    written.

    Returns `verdict`, `reason`, `seconds`, `unsealed` (why the record is not, or empty) and in mode
    plan `plan`: see `records.plan.Plan`. `approved` is the approval of a set: `set`, `list` and
    `approver`; a target that plans otherwise is refused. With `once` it does nothing if the
    target's ledger knows the id already: some executors begin a task again.
    """
    began = time.monotonic()
    try:
        project = Project.find(Path(root))
        notebook = project.runbook(runbook)
        each = FleetTarget(**target)
        own = {"target": each.called(project), "schema": each.schema, "mode": mode}
        values = {**given, **own}
        chosen = parameters.validate(parameters.declared(notebook), values)
        if once and _knows(project, chosen, run_id):
            return {"verdict": Verdict.INTERRUPTED, "reason": "the run was begun before"}
        if approved:
            plan = run_one(root, fleet, runbook, target, given, "plan", run_id)
            values |= _approval(plan, approved)
            chosen = parameters.validate(parameters.declared(notebook), values)
        with signals.as_before():
            if mode == "plan":
                told = _plan(project, notebook, chosen, values, run_id)
            else:
                folder = Path(fleet, each.name)
                told = _execute(project, notebook, chosen, values, run_id, folder)
    except RunbookError as exc:
        told = {"verdict": exc.verdict, "reason": first_line(exc)}
    except KeyboardInterrupt:
        told = {"verdict": Verdict.INTERRUPTED, "reason": "stopped by a signal"}
    return {"unsealed": "", **told, "seconds": round(time.monotonic() - began, 3)}


def _execute(
    project: Project,
    notebook: Path,
    chosen: Parameters,
    given: Mapping[str, Any],
    run_id: str,
    folder: Path,
) -> dict[str, Any]:
    from pgrunbook.records import sealing
    from pgrunbook.runner import run_notebook

    path, ending = run_notebook.execute(
        project, notebook, chosen, given, bar=False, run_id=run_id, folder=folder
    )
    unsealed = ""
    try:
        sealing.seal(project, path)
    except RunbookError as exc:
        unsealed = first_line(exc)
    return {"verdict": ending.verdict, "reason": ending.reason, "unsealed": unsealed}


def _plan(
    project: Project, notebook: Path, chosen: Parameters, given: Mapping[str, Any], run_id: str
) -> dict[str, Any]:
    """The plan, out of a record that nobody keeps."""
    from pgrunbook.runner import run_notebook

    with tempfile.TemporaryDirectory(prefix="pgrunbook-") as elsewhere:
        path, ending = run_notebook.execute(
            project, notebook, chosen, given, bar=False, run_id=run_id, elsewhere=Path(elsewhere)
        )
        plan = Record.read(path).plan
    reason = ending.problems[0].what if ending.problems else ending.reason
    return {"verdict": ending.verdict, "reason": reason, "plan": plan}


def _approval(planned: Mapping[str, Any], approved: Mapping[str, str]) -> dict[str, str]:
    """What the run is given so that it does what it has just planned, and nothing else. Raises
    Refused if that is not what was approved.
    """
    plan = planned.get("plan")
    if planned["verdict"] != Verdict.PASSED:
        raise Refused.of(f"could not be planned: {planned['reason']}")
    if not plan:
        return {}
    if plans.of_set(plans.digest(plan), approved["list"]) != approved["set"]:
        raise Refused.of(f"plans otherwise than approved: {plans.summary(plan)}")
    return {"approved_plan": plan["digest"], "approver": approved["approver"]}


def _knows(project: Project, chosen: Parameters, run_id: str) -> bool:
    target = targets.resolve(chosen.target, project)
    with connect(target, schema=chosen.schema_, label="fleet", read_only=True) as conn:
        return ledger.exists(conn) and ledger.knows(conn, run_id)
