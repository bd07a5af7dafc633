"""How a backfill went over time: its rows, the lag of its replicas, and its pauses, in numbers and
in words. `backfill_picture` draws the same.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pgrunbook.durations import words
from pgrunbook.records.words import counted

if TYPE_CHECKING:
    import pandas as pd


# A backfill notes this where it could not give way to replicas.
LAG_UNSEEN = "how far replicas are behind is not shown to this role: no limit holds"
# The reason of a run begins so if the header `until`, or a person, has ended it between batches.
NOT_DONE = "The run has ended before its backfill, as it was to: the next one goes on."


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """A part of the time that batches were at work.

    `at` is its begin, in UTC, `rows` what was written in it. `lag_s`: how far a replica was behind
    at most; None if none was seen.
    """

    at: datetime
    seconds: float
    rows: int
    lag_s: float | None = None

    @property
    def end(self) -> datetime:
        """When it ended."""
        return self.at + timedelta(seconds=self.seconds)

    @property
    def rows_per_s(self) -> float:
        """Its rate."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause between two batches.

    `at` is its begin, in UTC. `lag_s`: how far a replica was behind at most; None if none was seen.
    Of 0 seconds it is not a pause: something was noted at that moment.
    """

    at: datetime
    seconds: float
    reasons: Sequence[str]
    lag_s: float | None = None

    @property
    def end(self) -> datetime:
        """When it ended."""
        return self.at + timedelta(seconds=self.seconds)

    @property
    def reason(self) -> str:
        """All reasons in a line."""
        return "; ".join(self.reasons)

    @property
    def kind(self) -> str:
        """The same for pauses of the same cause: see `kind`."""
        return kind(self.reason)


def kind(reason: str) -> str:
    """Return a reason without its numbers: what pauses of the same cause have in common."""
    return re.sub(r"\d[\d.,]*", "#", reason)


@dataclass(frozen=True, slots=True)
class Cause:
    """All pauses with the same cause: the reason of the first, how many, and their time in all."""

    reason: str
    count: int
    seconds: float

    def __str__(self) -> str:
        if self.seconds:
            return f"{counted(self.count, 'pause')}, {words(self.seconds * 1000)}: {self.reason}"
        if self.count > 1:
            return f"noted {self.count} times: {self.reason}"
        return f"noted: {self.reason}"


def frame(slices: Sequence[TimeSlice], pauses: Sequence[Pause]) -> pd.DataFrame:
    """Return a row for each slice: index `from` (str, UTC); columns `seconds`, `rows_per_s`,
    `lag_s` (missing if no replica was seen) and `paused_s` (Float64), `rows` (Int64), and `paused`
    (str, the causes of its pauses, a line each).
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    rows = []
    for each, found in zip(slices, _within(slices, pauses), strict=True):
        lag_s = None if each.lag_s is None else round(each.lag_s, 2)
        paused_s = sum(pause.seconds for pause in found)
        paused = "\n".join(map(str, causes(found)))
        began, rate = f"{each.at:%Y-%m-%d %H:%M:%S}", round(each.rows_per_s, 1)
        rows.append((began, each.seconds, each.rows, rate, lag_s, paused_s, paused))
    # the types that have a value for "missing"
    types = dict.fromkeys(("seconds", "rows_per_s", "lag_s", "paused_s"), "Float64")
    columns = ["from", "seconds", "rows", "rows_per_s", "lag_s", "paused_s", "paused"]
    shown = pd.DataFrame(rows, columns=columns).astype({**types, "rows": "Int64"})
    return shown.set_index("from")


def _within(slices: Sequence[TimeSlice], pauses: Sequence[Pause]) -> list[list[Pause]]:
    """Return the pauses of each slice: those that began in it, or before the next one. Those before
    the first slice count with it.
    """
    found: list[list[Pause]] = [[] for _ in slices]
    began = [each.at for each in slices]
    if slices:
        for pause in pauses:
            found[max(0, bisect_right(began, pause.at) - 1)].append(pause)
    return found


def causes(pauses: Sequence[Pause]) -> list[Cause]:
    """Return the causes of the pauses, in the order in which each first came."""
    alike: dict[str, list[Pause]] = {}
    for pause in pauses:
        alike.setdefault(pause.kind, []).append(pause)
    found = []
    for group in alike.values():
        first = min(group, key=lambda pause: pause.at)
        found.append(Cause(first.reason, len(group), sum(pause.seconds for pause in group)))
    return found


def summary(slices: Sequence[TimeSlice], pauses: Sequence[Pause]) -> str:
    """Return in words what the picture shows."""
    if not slices:
        return "No batch has run."
    seconds, rows = sum(each.seconds for each in slices), sum(each.rows for each in slices)
    rates = [each.rows_per_s for each in slices]
    looks: list[TimeSlice | Pause] = [*slices, *pauses]
    lags = [each.lag_s for each in looks if each.lag_s is not None]
    begin, end = slices[0].at, max(each.end for each in slices)
    noted = [str(each) for each in causes(pauses) if not each.seconds]
    if lags:
        behind = f"replicas were {max(lags):.1f} s behind at most"
    elif any(LAG_UNSEEN in each for each in noted):
        behind = "how far replicas were behind is not known"
    else:
        behind = "no replica was seen"
    parts = [
        f"{rows:,} rows from {begin:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC",
        f"{rows / max(seconds, 0.001):,.0f} rows per second on average, {max(rates):,.0f} at most",
        behind,
    ]
    paused = "; ".join(str(each) for each in causes(pauses) if each.seconds)
    pausing = f"It paused: {paused}." if paused else "It did not pause."
    return " ".join([f"{'; '.join(parts)}. {pausing}", *(f"It {each}." for each in noted)])
