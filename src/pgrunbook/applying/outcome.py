"""What was done with a block, and how long each part of it took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from pgrunbook.applying.effects import Effect
from pgrunbook.postgres.locks import Lock

TIMES = ["statement", "ms"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with a block.

    - `event` is `applied`, `adopted` or `reverted`.
    - `statements` has the text of each statement, and how many milliseconds it took.
    - `locks` were held on what existed before, until the end.
    - `confirmed`: the standbys that the commit waits for have confirmed it.
    - `effect` is what has changed; None if that is not known, as the connection was lost.
    """

    block: str
    event: str
    statements: tuple[tuple[str, float], ...]
    started_at: datetime
    elapsed_ms: float
    locks: tuple[Lock, ...] = ()
    confirmed: bool = True
    effect: Effect | None = None

    @property
    def times(self) -> list[list[object]]:
        """A row a statement, the commit last, as `TIMES` says: its first line, and milliseconds.
        COMMENT statements that follow each other share a row.
        """
        rows: list[tuple[str, float]] = []
        for sql, ms in self.statements:
            label = "COMMENT ON …" if sql.startswith("COMMENT ON") else sql.splitlines()[0]
            before = rows.pop()[1] if rows and rows[-1][0] == label else 0.0
            rows.append((label, before + ms))
        return [[label, round(ms, 1)] for label, ms in rows]

    def frame(self) -> pd.DataFrame:
        """Return the times with the columns `TIMES`: str and float64."""
        return pd.DataFrame(self.times, columns=TIMES)


class Clock:
    """Measures laps in milliseconds, each named after its statement."""

    def __init__(self) -> None:
        self.laps: list[tuple[str, float]] = []
        self._start = self._last = time.perf_counter()

    def lap(self, name: str = "") -> None:
        """End a lap; one without a name counts into no statement."""
        now = time.perf_counter()
        if name:
            self.laps.append((name, (now - self._last) * 1000))
        self._last = now

    @property
    def total_ms(self) -> float:
        """From the start to the last lap."""
        return (self._last - self._start) * 1000
