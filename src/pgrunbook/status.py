"""Where a target stands: the blocks in the files beside the rows in its ledger. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pgrunbook import checks, ledger, preflight, targets
from pgrunbook.blocks import Source
from pgrunbook.catalog import Connection
from pgrunbook.connection import connect, driver_errors
from pgrunbook.errors import Refused, Verdict
from pgrunbook.project import Project
from pgrunbook.scripts import Script


def collect(project: Project, runbooks: Sequence[str], target: str, schema: str) -> list[dict[str, Any]]:
    """One mapping a runbook: `runbook`, `target`, `schema`, `blocks` and the last run, all JSON values.

    A block is `pending` until the ledger has it; a block with variants is listed once for each of its columns.
    Raises Refused if the target, its schema or its ledger cannot be reached.
    """
    resolved = targets.resolve(target, project)
    with (
        driver_errors("The target could not be read.", where=f"target {target!r}"),
        connect(resolved, schema=schema, label="status", read_only=True) as conn,
    ):
        targets.check_identity(resolved, targets.identify(conn))
        checks.require(preflight.schema(conn, schema), Refused, "The target cannot be read.")
        return [_report(conn, runbook, Source.read(project.sql(runbook)), target, schema) for runbook in runbooks]


def _report(conn: Connection, runbook: str, source: Source, target: str, schema: str) -> dict[str, Any]:
    runs = [run for run in ledger.runs(conn, runbook) if run["schema_name"] == schema]
    complete = any(run["verdict"] == Verdict.PASSED for run in runs)
    return {
        "runbook": runbook,
        "target": target,
        "schema": schema,
        "blocks": _blocks(source, ledger.entries(conn, runbook, schema), complete=complete),
        "last_run": _last(runs),
    }


def _blocks(source: Source, entries: dict[str, ledger.Entry], *, complete: bool) -> list[dict[str, Any]]:
    """Which columns a folder of variants is for, only a run knows: unless one passed, there may be more."""
    listed: list[dict[str, Any]] = []
    for name in source.deploy:
        recorded = [entries[key] for key in sorted(entries) if key.partition(":")[0] == name]
        listed += [_done(entry) for entry in recorded] or [_pending(name)]
        if not complete and recorded and not isinstance(source.deploy[name], Script):
            listed.append(_pending(f"{name}:…"))
    return listed


def _pending(name: str) -> dict[str, Any]:
    return {"block": name, "state": "pending", "when": None, "run": None}


def _done(entry: ledger.Entry) -> dict[str, Any]:
    when = f"{entry.finished_at:%Y-%m-%dT%H:%M:%SZ}"
    return {"block": entry.block, "state": entry.event, "when": when, "run": entry.run_id}


def _last(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not runs:
        return None
    run = runs[0]
    verdict = run["verdict"] or "no verdict: at work, or died"
    return {"run": run["run_id"], "verdict": verdict, "reason": run["reason"], "operator": run["operator"]}


def text(reports: Sequence[dict[str, Any]]) -> str:
    """The reports as tables for a terminal."""
    console = Console(highlight=False)
    with console.capture() as capture:
        for report in reports:
            table = Table("block", "state", "when", "run", title=f"{report['runbook']} on {report['target']}")
            for block in report["blocks"]:
                table.add_row(block["block"], block["state"], block["when"] or "", (block["run"] or "")[:8])
            console.print(table)
            if last := report["last_run"]:
                ended = ": ".join(filter(None, [last["verdict"], last["reason"]]))
                console.print(f"last run {last['run'][:8]} by {last['operator']}: {ended}", markup=False)
    return capture.get().rstrip()
