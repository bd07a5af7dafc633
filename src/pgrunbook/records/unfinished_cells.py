"""What a run leaves open whose cell was cut off: the record cannot tell what came of its blocks."""

from __future__ import annotations

from pgrunbook.records.record import Record

# How a cell ended that did not come to its end.
BROKEN_OFF = ("failed", "interrupted")


def begun_blocks(record: Record) -> list[str]:
    """Blocks that were at work when their cell was cut off or failed: anything may have come of
    them, or nothing.
    """
    cut = {cell.name for cell in record.cells if cell.state in (*BROKEN_OFF, "running")}
    planned = record.identity.get("mode") == "plan"
    return [
        b.name for b in record.blocks if b.sql and not b.event and b.cell in cut and not planned
    ]


def cell_at_work(record: Record) -> str:
    """That a cell was running whose outputs are not in the record, as whoever ran it was killed, or
    is at work.
    """
    running = [
        cell.name for cell in record.cells if cell.kind == "code" and cell.state == "running"
    ]
    if not running or begun_blocks(record) or record.identity.get("mode") == "plan":
        return ""
    return (
        f" Cell {running[0]} was running when this was written: what came of it, the ledger tells."
    )
