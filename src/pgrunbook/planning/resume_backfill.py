"""Decides about a block in batches that has begun: it goes on behind its last batch, with the file
that it began with. Reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgrunbook.errors import Problem
from pgrunbook.ledger.batches import Backfill
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.keyset import Table
from pgrunbook.runbooks.blocks import Block


def decide(block: Block, entry: Entry, backfill: Backfill | None, table: Table | None) -> Decision:
    """Decide about a block whose last row in the ledger says that it has begun, or that its revert
    has. `table` is what the header names now; None if there is none.
    """
    # The decision is to apply, as it was at first: who has approved that has approved all batches.
    reason = f"{entry.event} by run {entry.run_id[:8]} and not finished"
    if entry.event == "started" and backfill:
        if problems := tuple(_problems(block, entry, backfill, table)):
            return Decision(block, Action.REFUSE, "edited since it began", problems=problems)
        reason = f"{reason}: {backfill.far}"
    return Decision(block, Action.APPLY, reason, (0,), revision=entry.revision + 1)


def _problems(
    block: Block, entry: Entry, backfill: Backfill, table: Table | None
) -> Iterator[Problem]:
    if block.tree_sha256 != backfill.tree_sha256:
        yield Problem(
            "the file was edited after its batches began",
            block.name,
            f"sha256 {entry.source_sha256} (run {entry.run_id[:8]}, {entry.finished_at:%Y-%m-%d})",
            f"sha256 {block.source_sha256}; {backfill.far}",
            "restore the file, and let the block end; or revert the runbook, and begin anew",
        )
    yield from table_problems(block, backfill, table)


def table_problems(block: Block, backfill: Backfill, table: Table | None) -> Iterator[Problem]:
    """Yield why the block cannot go on behind its last batch: that was in another table, or by
    another key, and rows before it would be left out.
    """
    # The header names a table with its schema, or one along its search path: what is found there
    # may be another one by now, even of the same name. Hence the OID.
    assert block.batching
    key = block.batching.key
    if backfill.key != key or (table and table.name != backfill.table):
        yield Problem(
            "its batches began in another table, or by another key",
            f"{block.name}, headers batch and search_path",
            f"{backfill.table} by {', '.join(backfill.key)}",
            f"{table.name if table else block.batching.table} by {', '.join(key)}",
            "restore the headers, and what their search path leads to; only the size of a batch, "
            "until, give way and skip may be changed; or revert the runbook, and begin anew",
        )
    elif table and backfill.oid != table.oid:
        yield Problem(
            "its batches began in another table of that name",
            block.name,
            f"{backfill.table} with OID {backfill.oid}; {backfill.far}",
            f"OID {table.oid}",
            "put the table back in which they began; or revert the runbook, and begin anew: also "
            "if the database was restored from a dump since",
        )
