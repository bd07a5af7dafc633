"""How far a backfill has come, in a line: for the terminal, a cell, and `pgrunbook status`."""

from __future__ import annotations

from pgrunbook.durations import words
from pgrunbook.records.format.parts import Progress

_FULL, _EMPTY = "█", "░"


def share(progress: Progress) -> float | None:
    """Return how much is done, from 0 to 1; None if the planner has no estimate of the total."""
    if not progress.total:
        return None
    return min(1.0, progress.done / progress.total)


def bar(progress: Progress, width: int = 24) -> str:
    """Return the same as a bar of characters; empty if it is not known."""
    if (done := share(progress)) is None:
        return ""
    full = round(done * width)
    return _FULL * full + _EMPTY * (width - full)


def line(progress: Progress) -> str:
    """Return `1,200,000 of about 2,000,000 rows (60%), 8,000 rows/s, replica 0.2 s behind, 100.0 s
    left`. While it pauses, the reason stands for the rate and the time, which do not hold then.
    """
    parts = [f"{progress.done:,} rows"]
    if (done := share(progress)) is not None:
        parts = [f"{progress.done:,} of about {progress.total:,} rows ({done:.0%})"]
    if progress.rows_per_s is not None and not progress.paused:
        parts.append(f"{progress.rows_per_s:,.0f} rows/s")
    if progress.lag_s is not None:
        parts.append(f"replica {progress.lag_s:.1f} s behind")
    if (left_s := _left_s(progress)) is not None and not progress.paused:
        parts.append(f"{words(left_s * 1000)} left")
    pausing = f"; pauses: {'; '.join(progress.paused)}" if progress.paused else ""
    return ", ".join(parts) + pausing


def _left_s(progress: Progress) -> float | None:
    if not progress.total or not progress.rows_per_s or progress.done >= progress.total:
        return None
    return (progress.total - progress.done) / progress.rows_per_s
