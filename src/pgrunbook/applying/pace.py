"""How large the next batch of a backfill is, and whether it is time for one."""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.postgres.pressure import Pressure
from pgrunbook.runbooks.give_way import Limits

TARGET_MS = 1_000.0


@dataclass(slots=True)
class Pace:
    """The pace of one backfill. `rows` is the size of the next batch; `rest_s` how long to sleep
    before it.
    """

    limits: Limits
    rows: int
    target_ms: float = TARGET_MS
    lock_timeout_ms: float = 150.0
    rest_s: float = 0.0

    def after(self, _rows: int, _elapsed_ms: float, _waiters_ms: float = 0.0) -> None:
        """A batch is done."""

    def gave_way(self) -> None:
        """A batch was cancelled, as somebody waited for it: half the size."""
        self.rows = max(1, self.rows // 2)

    def pause(self, _pressure: Pressure) -> list[str]:
        """Why to pause now; empty: go on."""
        return []
