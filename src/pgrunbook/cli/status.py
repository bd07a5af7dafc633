"""Reports where a target stands: blocks in the files beside rows in its ledger. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pgrunbook.controls import continued, one_line
from pgrunbook.errors import Refused, Verdict
from pgrunbook.ledger import batches, ledger
from pgrunbook.ledger.run_rows import progress_of
from pgrunbook.ledger.server_match import ServerMatch
from pgrunbook.planning import checks, decisions, preflight, right_target
from pgrunbook.postgres import run_locks
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.driver_errors import driver_errors
from pgrunbook.postgres.identity import identify
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.blocks import entry_of
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.scripts import Script
from pgrunbook.runbooks.source import Source

# The least width of the table, in characters. A name that is broken in two cannot be copied.
WIDTH = 140


def collect(
    project: Project, runbooks: Sequence[str], target: str, schema: str
) -> list[dict[str, Any]]:
    """Return a mapping for each runbook: `runbook`, `target`, `server`, `schema`, `blocks`,
    `without_files` (what the ledger has of blocks whose files are gone) and `last_run`, all JSON
    values.

    Of a block, which is listed once for each of its columns if it has variants:

    - `state`: `pending`, or the last event that the ledger has of it.
    - `edited`: whether its files are no longer those that were applied.
    - `far`, of a block in batches that is not done: how far it has come.
    - `pauses`, while that block pauses: why.
    - `elapsed_ms`, `locks`, `attempts`: what it took.

    Raises Refused if the target, its schema or its ledger cannot be reached.
    """
    resolved = targets.resolve(target, project)
    with (
        driver_errors("The target could not be read.", where=f"target {target!r}"),
        connect(resolved, schema=schema, label="status", read_only=True) as conn,
    ):
        right_target.check_identity(resolved, identify(conn))
        checks.require(preflight.check_schema(conn, schema), Refused, "The target cannot be read.")
        about = {"target": target, "server": str(ServerMatch.of(conn)), "schema": schema}
        reports = []
        for runbook in runbooks:
            reports.append(_report(conn, runbook, Source.read(project.sql(runbook)), about))
        return reports


def pending(report: dict[str, Any]) -> bool:
    """Return whether `run --pending` has to run the runbook of a report: a block is not done, or
    was edited since; or the last run did not pass.
    """
    for block in report["blocks"]:
        if block["state"] not in ledger.DONE or block["edited"]:
            return True
    last = report["last_run"]
    return last is not None and last["verdict"] != Verdict.PASSED


def _report(conn: Session, runbook: str, source: Source, about: dict[str, str]) -> dict[str, Any]:
    schema = about["schema"]
    runs = ledger.runs(conn, runbook, schema)
    complete = any(run["verdict"] == Verdict.PASSED for run in runs)
    entries = ledger.entries(conn, runbook, schema)
    last = _last_run(conn, schema, runs)
    details = ledger.details(conn, runbook, schema)
    blocks = []
    for block in _blocks(source, entries, complete=complete):
        name = block["block"]
        block |= details.get((block["run"], name), _NO_DETAILS)
        if name in entries:
            block |= _progress(conn, runbook, schema, entries[name], last)
        blocks.append(block)
    gone = ledger.without_files(conn, runbook, schema, source.deploy.keys())
    without = [{"block": r["block"], "state": r["event"], "run": r["run_id"]} for r in gone]
    found = {"blocks": blocks, "without_files": without, "last_run": last}
    return {"runbook": runbook, **about, **found}


def _progress(
    conn: Session,
    runbook: str,
    schema: str,
    entry: ledger.Entry,
    last: dict[str, Any] | None,
) -> dict[str, str]:
    """Return the keys `far` and `pauses` of a block in batches that is not done. A pause counts
    only as long as the run that makes it may be alive.
    """
    if not entry.broken_off:
        return {}
    found = batches.find_backfill(conn, runbook, schema, entry.block, entry.revision)
    if not found:
        return {}
    progress = {"far": found.far}
    paused = batches.current_pause(conn, found.id)
    if paused and last and last["run"] == paused.run and last["verdict"] in (_AT_WORK, _UNKNOWN):
        progress["pauses"] = str(paused)
    return progress


_NO_DETAILS: dict[str, Any] = {"elapsed_ms": None, "locks": [], "attempts": 0}


def _blocks(
    source: Source, entries: dict[str, ledger.Entry], *, complete: bool
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for name in source.deploy:
        recorded = [entries[key] for key in sorted(entries) if entry_of(key) == name]
        blocks += [_recorded(entry, source) for entry in recorded] or [_pending(name)]
        # Only a run finds out the columns of a block with variants. Until a run has passed there
        # may be more of them.
        if not complete and recorded and not isinstance(source.deploy[name], Script):
            blocks.append(_pending(f"{name}:…"))
    return blocks


def _pending(name: str) -> dict[str, Any]:
    return {"block": name, "state": "pending", "edited": False, "when": None, "run": None}


def _recorded(entry: ledger.Entry, source: Source) -> dict[str, Any]:
    when = f"{entry.finished_at:%Y-%m-%dT%H:%M:%SZ}"
    edited = entry.done and decisions.is_edited(source.files(entry.block, entry.variants), entry)
    return {
        "block": entry.block,
        "state": entry.event,
        "edited": edited,
        "when": when,
        "run": entry.run_id,
    }


_AT_WORK = "at work"
_UNKNOWN = "no verdict: at work, or died"


def _last_run(conn: Session, schema: str, runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last run with its verdict. For a run without a verdict: whether it is at work, and
    how far it is known to be.
    """
    if not runs:
        return None
    run = runs[0]
    verdict, reason = run["verdict"], run["reason"]
    if not verdict:
        verdict = _without_verdict(conn, run["run_id"])
        for row in ledger.unfinished_runs(conn, schema):
            if row["run_id"] == run["run_id"]:
                reason = progress_of(row)
    return {"run": run["run_id"], "verdict": verdict, "reason": reason, "operator": run["operator"]}


def _without_verdict(conn: Session, run_id: str) -> str:
    """Return `at work` if the run holds its lock, else `died`."""
    # The application name of each session has the first digits of its run's id.
    holders = [holder["application"] for holder in run_locks.holders(conn, run_locks.DATABASE)]
    # pg_stat_activity hides other roles' sessions without pg_read_all_stats,
    # https://www.postgresql.org/docs/current/monitoring-stats.html
    if None in holders:
        return _UNKNOWN
    if any(run_id[:8] in application for application in holders):
        return _AT_WORK
    return "died"


def text(reports: Sequence[dict[str, Any]]) -> str:
    """Return the reports as tables for a terminal."""
    # plain: a name in square brackets would be markup, and `:name:` an emoji
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, WIDTH)
    with console.capture() as capture:
        for report in reports:
            console.print(_table(report))
            for block in report["blocks"]:
                if "pauses" in block:
                    console.print(one_line(f"{block['block']} {block['pauses']}"))
            for each in report["without_files"]:
                by = f"{each['state']} by run {each['run'][:8]}"
                console.print(one_line(f"{each['block']}: {by}, and its file is gone"))
            last = report["last_run"]
            if last:
                ended = ": ".join(filter(None, [last["verdict"], last["reason"]]))
                console.print(
                    one_line(f"last run {last['run'][:8]} by {last['operator']}: {ended}")
                )
        if reports:
            console.print(continued(f"server: {reports[0]['server']}"))
    return capture.get().rstrip()


def _table(report: dict[str, Any]) -> Table:
    table = Table(title=one_line(f"{report['runbook']} on {report['target']}"))
    for heading in ("block", "state", "when", "run", "took"):
        table.add_column(heading, no_wrap=True)
    table.add_column("locks, each held so long before the commit")
    for block in report["blocks"]:
        state = block["state"]
        if block["edited"]:
            state += "; the file was edited since"
        if "far" in block:
            state += f"\n{one_line(block['far'])}"
        took = ""
        if block["elapsed_ms"] is not None:
            took = f"{block['elapsed_ms']:,.0f} ms"
        held = []
        for lock in block["locks"]:
            relation = one_line(lock["relation"])
            held.append(f"{relation} {lock['mode']} {lock['held_ms']:,.0f} ms")
        when, run = block["when"] or "", (block["run"] or "")[:8]
        table.add_row(one_line(block["block"]), state, when, run, took, "\n".join(held))
    return table
