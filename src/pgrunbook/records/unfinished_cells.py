"""Finds blocks of which a record cannot tell what came: their cell was cut off."""

from __future__ import annotations

from pgrunbook.records.record import Record

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
