"""The answer to which locks were taken, and who waited."""

from __future__ import annotations

from pgrunbook.records import row_words
from pgrunbook.records.backfill_answers import what_they_gave_way_to
from pgrunbook.records.changes_answer import RAN
from pgrunbook.records.record import Record
from pgrunbook.records.shown import ShownBlock
from pgrunbook.records.unfinished_cells import begun_blocks, cell_at_work
from pgrunbook.records.words import counted, listed


def locks(record: Record) -> str:
    """Return what was locked for longest, in which mode, and for whom a block waited."""
    held = []
    for block in record.blocks:
        held += [(lock, block) for lock in block.locks]
    text = "No lock on anything that existed before."
    # `apply_all` once left out of its data what it showed of locks
    if untold := [b.name for b in record.blocks if b.event in RAN and not b.statements]:
        text = f"What {listed(untold)} locked, the cell shows."
    if held:
        # Readers wait for ACCESS EXCLUSIVE alone: the application felt these locks most.
        strongest = [pair for pair in held if pair[0]["lock"] == "ACCESS EXCLUSIVE"] or held
        lock, block = max(strongest, key=lambda pair: float(pair[0]["held_ms"]))
        text = (
            f"{counted(len(held), 'lock')}; the longest of the strongest, which blocks "
            f"{lock['blocks']}: {lock['lock']} on {lock['relation']}, at most "
            f"{lock['held_ms']:.0f} ms, in {block.name}."
        )
    rest = cell_at_work(record)
    if begun := begun_blocks(record):
        rest = (
            f" What {listed(begun)} held, and for whom it waited when it ended, may not be on "
            "record."
        )
    if rest and not held:
        text = "No lock is on record."
    gave_way = what_they_gave_way_to(record)
    return f"{text} {_waits(record)}{_waits_outside(record)}{gave_way}{rest}"


def _waits(record: Record) -> str:
    waited = [block for block in record.blocks if block.attempts]
    if not waited:
        if begun_blocks(record) or cell_at_work(record):
            return "No wait is on record."
        return "No block waited for a lock in a transaction."
    named = [_wait(block) for block in waited]
    return f"It waited for locks: {'; '.join(named)}. Between its attempts nobody waited for it."


def _waits_outside(record: Record) -> str:
    """Return a note about blocks outside a transaction: only their cells show their waits."""
    names = [block.name for block in record.blocks if block.statements and not block.in_transaction]
    return f" For whom {listed(names)} waited, outside a transaction, its cell shows." * bool(names)


def _wait(block: ShownBlock) -> str:
    attempts = len({row["attempt"] for row in block.attempts})
    blockers = dict.fromkeys(row_words.blocker(row) for row in block.attempts if row["pid"])
    return (
        f"{block.name} in {counted(attempts, 'attempt')}, for "
        f"{', '.join(blockers) or 'nobody that was seen'}"
    )
