"""What to do with a block in batches that has begun: go on, with the file that it began with. Reads
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from pgrunbook.errors import Problem
from pgrunbook.ledger.batches import Backfill
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.runbooks.blocks import Block


def decide(block: Block, entry: Entry, backfill: Backfill | None) -> Decision:
    """The decision about a block whose last row says that it has begun, or that it was begun to be
    undone. It is to be applied, as before: who has approved that has approved all of its batches.
    """
    reason = f"{entry.event} by run {entry.run_id[:8]} and not finished"
    if entry.event == "started" and backfill:
        if problems := tuple(_problems(block, entry, backfill)):
            return Decision(block, Action.REFUSE, "edited since it began", problems=problems)
        reason = f"{reason}: {backfill.far}"
    return Decision(block, Action.APPLY, reason, (0,), revision=entry.revision + 1)


def _problems(block: Block, entry: Entry, backfill: Backfill) -> Iterator[Problem]:
    assert block.batching
    if block.tree_sha256 != backfill.tree_sha256:
        yield Problem(
            "the file was edited after its batches began",
            block.name,
            f"sha256 {entry.source_sha256} (run {entry.run_id[:8]}, {entry.finished_at:%Y-%m-%d})",
            f"sha256 {block.source_sha256}; {backfill.far}",
            "restore the file, and let the block end; or revert it, and begin anew",
        )
    cut = block.batching
    same_table = backfill.table.endswith("." + sql.Identifier(cut.table).as_string())
    if backfill.key != cut.key or not same_table:
        yield Problem(
            "the header was edited after its batches began",
            f"{block.name}, header batch",
            f"{backfill.table} by {', '.join(backfill.key)}",
            f"{cut.table} by {', '.join(cut.key)}",
            "restore the header; only the size of a batch may be changed",
        )
