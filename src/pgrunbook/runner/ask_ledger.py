"""What the target's ledger says of a run, once the kernel that could have told may be dead."""

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
class Answer:
    """What the target's ledger says of a run: in Markdown, what it committed; its verdict, with the
    reason.
    """

    committed: str = ""
    verdict: tuple[Verdict, str] | None = None

    @property
    def plain(self) -> str:
        """What it committed, for who does not read the notebook."""
        return self.committed.replace("`", "").replace(_NOT_SHOWN, "")


def needed(ending: Ending, cells: Sequence[NotebookNode]) -> bool:
    """Whether the cells leave it open what was committed."""
    return ending.verdict is not Verdict.PASSED and may_have_written(ending, cells)


def ask(chosen: Parameters, run_id: str, cells: Sequence[NotebookNode]) -> Answer:
    """Ask the target's ledger, as the kernel that could have told may be dead.

    Where the notebook does not show what the ledger has, the answer says so; the ledger is right.
    """
    try:
        target = targets.resolve(chosen.target, Project.find())
        with (
            signals.waiting(),
            connect(target, schema=chosen.schema_, label="ledger", read_only=True) as conn,
        ):
            wait_for_end(conn, run_id)
            done, verdict = ledger.blocks_of_run(conn, run_id), ledger.verdict(conn, run_id)
            batches = {row["block"]: row for row in ledger.batches_of(conn, [run_id])}
    except (RunbookError, psycopg.Error, signals.Hurried) as exc:
        why = "a second signal came"
        if not isinstance(exc, signals.Hurried):
            why = one_line(first_line(exc))
        return Answer(
            f"What was committed is in the target's ledger, which could not be asked: {why}"
        )
    if not done and not batches:
        return Answer(
            "The target's ledger has nothing of this run: nothing was committed.", verdict
        )
    below = {done.block for done, _ in shown(cells, Done)}
    events = dict.fromkeys(batches, "") | dict(done)  # one that it went on with has no event
    listed = []
    for block, event in events.items():
        if block in batches and event in ("", *ledger.BROKEN_OFF):
            listed.append(_batches(block, batches[block]))
        else:
            listed.append(_event(block, event, below))
    return Answer("Committed, as the target's ledger says: " + "; ".join(listed) + ".", verdict)


def tell(chosen: Parameters, run_id: str, ending: Ending) -> Ending:
    """Write a verdict into the target's ledger that the kernel did not know of, so that it says
    what the record says.

    A run that has written nothing has no row there. Where the ledger cannot be told, the ending
    says so.
    """
    if chosen.mode not in ("apply", "revert"):
        return ending
    try:
        target = targets.resolve(chosen.target, Project.find())
        with connect(target, schema=chosen.schema_, label="verdict") as conn:
            wait_for_end(conn, run_id)
            if ledger.exists(conn) and ledger.has_run(conn, run_id):
                write.finish(conn, run_id, ending.verdict, ending.reason)
    except (RunbookError, psycopg.Error) as exc:
        return replace(
            ending,
            error=f"{ending.error}\nThe target's ledger could not be told: {first_line(exc)}",
        )
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
    return f"`{name}` {event}{'' if block in below else _NOT_SHOWN}"


_NOT_SHOWN = ", **not shown below**"
