"""Asks the target's ledger about a run, once the kernel that could have told may be dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from nbformat import NotebookNode

from pgrunbook import signals
from pgrunbook.controls import one_line
from pgrunbook.errors import RunbookError, Verdict, first_line
from pgrunbook.ledger import ledger, write
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.run_sessions import wait_for_end
from pgrunbook.records.format.parts import Done
from pgrunbook.records.how_it_ended import Ending, may_have_written, shown
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project


@dataclass(frozen=True)
class LedgerReport:
    """What the target's ledger says of a run: what it has committed, in Markdown, and its verdict
    with the reason. `lacks_verdict`: it has committed something, and has none.
    """

    committed: str = ""
    verdict: tuple[Verdict, str] | None = None
    lacks_verdict: bool = False

    @property
    def plain(self) -> str:
        """What it committed, for who does not read the notebook."""
        return self.committed.replace("`", "").replace(_NOT_SHOWN, "")


def is_open(ending: Ending, cells: Sequence[NotebookNode]) -> bool:
    """Whether the cells leave it open what was committed."""
    return ending.verdict is not Verdict.PASSED and may_have_written(ending, cells)


def ask(chosen: Parameters, run_id: str, cells: Sequence[NotebookNode]) -> LedgerReport:
    """Ask the target's ledger. The answer names what the ledger has and the notebook does not show:
    the ledger is right.
    """
    try:
        target = targets.resolve(chosen.target, Project.find())
        with (
            signals.waiting(),
            connect(target, schema=chosen.schema_, label="ledger", read_only=True) as conn,
        ):
            # The kernel's last commit may be under way: asked before its session has ended, the
            # ledger may lack it.
            wait_for_end(conn, run_id)
            done, verdict = ledger.blocks_of_run(conn, run_id), ledger.verdict(conn, run_id)
            batches = {row["block"]: row for row in ledger.batches_of(conn, [run_id])}
    except (RunbookError, psycopg.Error, signals.Hurried) as exc:
        why = "a second signal came"
        if not isinstance(exc, signals.Hurried):
            why = one_line(first_line(exc))
        return LedgerReport(
            f"What was committed is in the target's ledger, which could not be asked: {why}"
        )
    if not done and not batches:
        return LedgerReport(
            "The target's ledger has nothing of this run: nothing was committed.", verdict
        )
    below = {done.block for done, _ in shown(cells, Done)}
    # a backfill that an earlier run has begun has no event of this one
    events = dict.fromkeys(batches, "") | dict(done)
    parts = []
    for block, event in events.items():
        if block in batches and event in ("", *ledger.BROKEN_OFF):
            parts.append(_batches(block, batches[block]))
        else:
            parts.append(_event(block, event, below))
    return LedgerReport(
        f"Committed, as the target's ledger says: {'; '.join(parts)}.", verdict, verdict is None
    )


def tell(chosen: Parameters, run_id: str, ending: Ending) -> Ending:
    """Write a verdict into the target's ledger that the kernel did not know of, so that it says
    what the record says. Returns the ending; it says so if the ledger cannot be written.

    A run that has written nothing has no row there.
    """
    if chosen.mode not in ("apply", "revert"):
        return ending
    try:
        target = targets.resolve(chosen.target, Project.find())
        with connect(target, schema=chosen.schema_, label="verdict") as conn:
            wait_for_end(conn, run_id)
            # without the run's row nothing was committed, and there is nothing to correct
            if ledger.exists(conn) and ledger.has_run(conn, run_id):
                write.finish(conn, run_id, ending.verdict, ending.reason)
    except (RunbookError, psycopg.Error, UnicodeError) as exc:  # UnicodeError: of a cell's error
        untold = f"The target's ledger could not be told: {first_line(exc)}"
        return replace(ending, error=f"{ending.error or ending.reason}\n{untold}")
    return ending


def _batches(block: str, row: Mapping[str, Any]) -> str:
    done = f"{row['batches']:,} batches, {row['rows']:,} rows"
    return f"`{one_line(block)}` in part: {done}; the next run goes on behind them"


def _event(block: str, event: str, below: set[str]) -> str:
    name = one_line(block)
    if event in ledger.BROKEN_OFF:
        return (
            f"`{name}` in part, outside a transaction: what is there of it, the next run finds "
            "in the catalog"
        )
    text = f"`{name}` {event}"
    if block not in below:
        text += _NOT_SHOWN
    return text


_NOT_SHOWN = ", **not shown below**"
