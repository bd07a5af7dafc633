"""Answers from a record about its blocks in batches: how many rows they have changed, how fast, and
what they gave way to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from pgrunbook.durations import words
from pgrunbook.records.backfill import kind
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record
from pgrunbook.records.shown import Row
from pgrunbook.records.words import counted


@dataclass(frozen=True)
class ShownBackfill:
    """A block in batches, as a record shows it.

    `runs` are those that have worked on it since it began, by the columns of `Kind.BATCHES`;
    `slices` are how it went over time, by the columns of `Kind.BACKFILL`.
    """

    block: str
    runs: Sequence[Row]
    slices: Sequence[Row]

    @classmethod
    def of_record(cls, record: Record) -> list[Self]:
        """Return the blocks of which a record shows how they went."""
        slices = record.by_block(Kind.BACKFILL)
        runs = record.by_block(Kind.BATCHES)
        return [cls(block, rows, slices.get(block, ())) for block, rows in runs.items()]

    @property
    def far(self) -> str:
        """`200,000 rows in 412 batches`, how many rows were put aside, and by how many runs."""
        rows = sum(run["rows"] for run in self.runs)
        batches = sum(run["batches"] for run in self.runs)
        parts = [f"{counted(rows, 'row')} in {counted(batches, 'batch')}"]
        if skipped := sum(run["skipped"] for run in self.runs):
            parts.append(f"{skipped:,} put aside")
        if len(self.runs) > 1:
            parts.append(f"by {counted(len(self.runs), 'run')} since {self.runs[0]['began']} UTC")
        return ", ".join(parts)

    @property
    def fast(self) -> str:
        """A sentence: how far it came, how fast, and how long a batch took at most."""
        text = f"{self.block}: {self.far}"
        if seconds := sum(each["seconds"] for each in self.slices):
            rate = sum(each["rows"] for each in self.slices) / seconds
            most = max(each["rows_per_s"] for each in self.slices)
            text += f"; {rate:,.0f} rows per second on average, {most:,.0f} at most"
        longest = max(run["longest_ms"] for run in self.runs)
        return f"{text}; longest batch {words(longest)}."

    @property
    def gave_way(self) -> str:
        """A sentence: for how long it paused, and why; how often batches were tried again."""
        paused_s = sum(each["paused_s"] for each in self.slices)
        pausing = "did not pause"
        if paused_s:
            pausing = f"paused for {words(paused_s * 1000)} in all: {'; '.join(self._reasons())}"
        if again := sum(run["tried_again"] for run in self.runs):
            pausing += f"; its batches were tried again {counted(again, 'time')}"
        return f"{self.block} {pausing}."

    def _reasons(self) -> Iterator[str]:
        """Yield why it paused. Reasons that differ by numbers alone are one: the first is taken."""
        # The column has a `Cause` in each line: `3 pauses, 12.0 s: the reason`.
        told = set()
        for line in "\n".join(each["paused"] for each in self.slices).splitlines():
            how_often, _, reason = line.partition(": ")
            if reason and not how_often.startswith("noted") and kind(reason) not in told:
                told.add(kind(reason))
                yield reason


def how_fast(record: Record) -> str:
    """Return how far each backfill came and how fast, a sentence each; empty if there is none."""
    return "".join(f" {each.fast}" for each in ShownBackfill.of_record(record))


def what_they_gave_way_to(record: Record) -> str:
    """Return what each backfill gave way to, a sentence each; empty if there is none."""
    return "".join(f" {each.gave_way}" for each in ShownBackfill.of_record(record))
