"""Finds the blocks whose cell failed or was cut off, and what a record can tell of them."""

from __future__ import annotations

from nbformat import from_dict

from pgrunbook.records.how_it_ended import find_ending
from pgrunbook.records.record import Record
from pgrunbook.records.words import BLOCK_ROLLED_BACK, REVERT_ROLLED_BACK, counted, listed

# The states of a cell that did not come to its end.
BROKEN_OFF = ("failed", "interrupted")


def begun_blocks(record: Record) -> list[str]:
    """Return the blocks that were at work when their cell failed or was cut off: anything may have
    come of them, or nothing.
    """
    if record.identity.get("mode") == "plan":  # it shows SQL, and runs none
        return []
    cut = {cell.name for cell in record.cells if cell.state in (*BROKEN_OFF, "running")}
    begun = []
    for block in record.blocks:
        if block.sql and not block.event and block.cell in cut:
            begun.append(block.name)
    return begun


def rolled_back(record: Record) -> str:
    """Return what the run has said of a transaction that came to nothing, in which its block was;
    empty if it has not said so.
    """
    ending = find_ending([from_dict(cell) for cell in record.notebook["cells"]])
    for said in (BLOCK_ROLLED_BACK, REVERT_ROLLED_BACK):
        if ending and ending.reason.startswith(said):
            return said
    return ""


def how_far(record: Record) -> str:
    """Return how many blocks of its plan a run that failed has done; empty if it began none."""
    steps = record.plan.get("steps", ())
    done = sum(bool(block.event) for block in record.blocks)
    begun = begun_blocks(record)
    if not steps or not (done or begun):
        return ""
    parts = [f"{done} of {counted(len(steps), 'block')} done"]
    if begun:
        parts.append(f"{listed(begun)} failed")
    left = len(steps) - done - len(begun)
    if left > 0:
        parts.append(f"{left} not begun")
    return ", ".join(parts)


def cell_at_work(record: Record) -> str:
    """Return a sentence about a cell that was running and has no outputs in the record: its runner
    was killed, or is still at work. Empty if there is none.
    """
    code = [cell for cell in record.cells if cell.kind == "code"]
    running = [cell.name for cell in code if cell.state == "running"]
    if not running or begun_blocks(record) or record.identity.get("mode") == "plan":
        return ""
    return (
        f" Cell {running[0]} was running when this was written: what came of it, the ledger tells."
    )
