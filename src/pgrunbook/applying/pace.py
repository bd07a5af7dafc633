"""Decides how large the next batch of a backfill is, and whether to pause before it. Batches
take as long as was asked for, and give way to the application, to replicas and to the archiver.

The size follows the time that a batch took, smoothed, in bounded steps, as GitLab's batched
background migrations do it: https://docs.gitlab.com/development/database/batched_background_migrations/
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from pgrunbook.durations import words
from pgrunbook.postgres.pressure import Pressure
from pgrunbook.runbooks.give_way import PressureLimits

TARGET_MS = 1_000.0

# The size of a batch is at most, and at least, that of the one before times these. It grows by less
# than it shrinks: a batch that is too large makes others wait, one that is too small costs little.
_MAX_GROWTH, _MAX_SHRINK = 2.0, 0.25
_MAX_ROWS = 1_000_000  # a batch locks as many rows, and leaves as many dead
_SMOOTHING = 0.5  # the weight of the last batch in the time that a row takes
_MIN_ROW_MS = 1e-5  # the time that a row takes is never 0, as it is divided by
_RECENT = 20  # batches whose rate is told

# A pause ends when what has caused it is down to this share of its limit. If it ended at the limit,
# each batch would begin a new one.
_RELIEF = 0.5

# A vacuum is due when the next batch would take the dead rows to this share of their limit. Not
# earlier, as each vacuum reads the table's indexes as a whole.
_VACUUM_FROM = 0.95
_FEW_ROWS = 1_000  # so few dead rows are not worth a vacuum, whatever their share
# If a vacuum has left dead rows, none is tried for so long, and for so many times what it took.
_BETWEEN_VACUUMS_S, _VACUUM_TIMES = 10.0, 10

# A backfill begins with batches that take at most this share of lock_timeout, until nobody has
# waited for one for so long: the first to wait would else have to wait for a large one.
_UNNOTICED, _QUIET_S = 0.2, 10.0
# While a vacuum is at work on the table, batches have at most this share of the time.
_BESIDE_VACUUM_PERCENT = 50


@dataclass(slots=True)
class Pace:
    """The pace of one backfill.

    - `rows` is the size of the next batch.
    - `rest_s` is for how long to sleep before it, so that batches have no more than their share of
      the time.
    - `lag_s` is how far the slowest replica was behind at the last look.
    """

    limits: PressureLimits
    rows: int
    target_ms: float = TARGET_MS
    lock_timeout_ms: float = 150.0
    now: Callable[[], float] = time.monotonic
    lag_s: float | None = None
    rest_s: float = 0.0
    _began: float = field(init=False)
    _noticed: bool = False  # whether somebody has waited for a batch
    _row_ms: float | None = None
    _beside_vacuum: bool = False
    _no_vacuum_before: float = 0.0  # by the clock, as an earlier one was of no use
    _paused_by: set[str] = field(default_factory=set)
    _lag: _Lag = field(default_factory=lambda: _Lag())
    _written: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def __post_init__(self) -> None:
        self._began = self.now()

    def note_batch(self, rows: int, elapsed_ms: float, waiters_ms: float = 0.0) -> None:
        """Take account of a batch that was committed: `rows` that it has gone through, changed or
        not; `waiters_ms` for which somebody has waited for it. Once somebody has, batches stay
        shorter than `lock_timeout`.
        """
        self._written.append((self.now(), rows))
        share = self.limits.share_percent
        if self._beside_vacuum:
            share = min(share, _BESIDE_VACUUM_PERCENT)
        self.rest_s = elapsed_ms / 1000 * (100 - share) / share
        # `rows` may be fewer than were to come, if one of them breaks a constraint
        took = elapsed_ms / max(1, rows)
        if self._row_ms is None:
            self._row_ms = took
        smoothed = self._row_ms * (1 - _SMOOTHING) + took * _SMOOTHING
        self._row_ms = max(took, smoothed, _MIN_ROW_MS)  # to be too small costs less
        least = self.rows * _MAX_SHRINK
        if waiters_ms > 0:
            self._noticed = True
            least = 1
        wanted = self._wanted_ms / self._row_ms
        self.rows = round(min(max(wanted, least, 1), self.rows * _MAX_GROWTH, _MAX_ROWS))

    def note_gave_way(self, rows: int) -> None:
        """Take account of a batch of so many rows that was cancelled, as somebody waited for it:
        the next one has half the size, or less.
        """
        self._noticed = True
        fits = self.rows if self._row_ms is None else round(self._wanted_ms / self._row_ms)
        self.rows = max(1, min(self.rows // 2, rows // 2, fits))

    @property
    def _wanted_ms(self) -> float:
        """How long the next batch is to take."""
        if self._noticed or self.now() - self._began < _QUIET_S:
            return min(self.target_ms, self.lock_timeout_ms * _UNNOTICED)
        return self.target_ms

    @property
    def rows_per_s(self) -> float | None:
        """The rows that the last batches have gone through in a second, pauses between them
        included; None before there are two.
        """
        if len(self._written) < 2:
            return None
        began, rows_of_first = self._written[0]
        took_s = self._written[-1][0] - began
        if took_s <= 0:
            return None
        # the first has ended when the time begins that is measured
        return (sum(rows for _, rows in self._written) - rows_of_first) / took_s

    def pause(self, pressure: Pressure) -> list[str]:
        """Return why to pause now, each reason in words; an empty list to go on."""
        self.lag_s = self._lag.seconds(pressure, self.now())
        self._beside_vacuum = pressure.vacuum is not None
        measured = list(self._measured(pressure))
        for what, value, limit, _ in measured:
            if value > limit:
                self._paused_by.add(what)
            elif value <= limit * _RELIEF:
                self._paused_by.discard(what)
        return [told for what, _, _, told in measured if what in self._paused_by]

    def vacuum_is_due(self, pressure: Pressure) -> bool:
        """Whether to vacuum the table before the next batch: with that, dead rows would come near
        their limit, we may do so, and nobody else is at it.
        """
        more = min(self.rows, pressure.live_rows)
        return (
            self.limits.vacuum
            and pressure.may_vacuum
            and pressure.vacuum is None
            and self._dead_percent(pressure, more) > self.limits.dead_percent * _VACUUM_FROM
            and self.now() >= self._no_vacuum_before
        )

    def note_vacuum(self, elapsed_ms: float, pressure: Pressure) -> None:
        """Take account of a vacuum, or of an attempt at one. If dead rows are left, whatever keeps
        them may keep them for long.
        """
        if self._dead_percent(pressure) > self.limits.dead_percent * _RELIEF:
            wait_s = max(_BETWEEN_VACUUMS_S, elapsed_ms / 1000 * _VACUUM_TIMES)
            self._no_vacuum_before = self.now() + wait_s

    @staticmethod
    def _dead_percent(pressure: Pressure, more: int = 0) -> float:
        """Return how many percent of the rows are dead, or would be with so many `more`; 0 if they
        are few.
        """
        if pressure.dead_rows <= _FEW_ROWS:
            return 0.0
        return replace(pressure, dead_rows=pressure.dead_rows + more).dead_percent

    def _measured(self, pressure: Pressure) -> Iterator[tuple[str, float, float, str]]:
        """Yield what is limited, its value, the limit, and both in words."""
        limits = self.limits
        if self.lag_s is not None:
            lag_ms = self.lag_s * 1000
            told = f"{words(lag_ms)} behind (limit {words(limits.lag_ms)})"
            yield "lag", lag_ms, limits.lag_ms, f"replica {pressure.replica} is {told}"
        if pressure.slot_behind_bytes is not None:
            told = f"{_mb(pressure.slot_behind_bytes)} behind (limit {_mb(limits.slot_bytes)})"
            about = f"logical replication slot {pressure.slot} is {told}"
            yield "slots", pressure.slot_behind_bytes, limits.slot_bytes, about
        if pressure.archive_files is not None:
            told = f"{pressure.archive_files} files of WAL wait to be archived"
            about = f"{told} (limit {limits.archive_files})"
            yield "archive", pressure.archive_files, limits.archive_files, about
        dead = self._dead_percent(pressure)
        yield "dead rows", dead, limits.dead_percent, self._dead(pressure)

    def _dead(self, pressure: Pressure) -> str:
        """Too many dead rows, and what they wait for."""
        told = f"{pressure.dead_percent:.0f}% of the rows are dead"
        about = f"{told} (limit {self.limits.dead_percent}%)"
        if pressure.vacuum:
            return f"{about}; a vacuum is at work: {pressure.vacuum}"
        if pressure.snapshot and (pressure.snapshot_s is None or pressure.snapshot_s > 1):
            since_ms = (pressure.snapshot_s or 0) * 1000
            age = f", for {words(since_ms)}" if since_ms else ""
            return f"{about}; kept by the snapshot of {pressure.snapshot}{age}"
        if not self.limits.vacuum:
            return f"{about}; autovacuum is waited for, as `vacuum no` says"
        if not pressure.may_vacuum:
            return f"{about}; autovacuum is waited for, as this role may not vacuum the table"
        return about


@dataclass(slots=True)
class _Lag:
    """Measures how many seconds a replica is behind: since we saw the WAL at the position that the
    replica has replayed by now.

    pg_stat_replication.replay_lag will not do alone: it is the lag of what was replayed last, and
    stays small where a replica that was up to date stops to replay.
    https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
    """

    _seen: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=10_000))

    def seconds(self, pressure: Pressure, now: float) -> float | None:
        """Its lag; None if there is no replica that we are shown."""
        self._seen.append((pressure.wal_bytes, now))
        if (replayed := pressure.replayed_bytes) is None:
            return None
        if replayed >= pressure.wal_bytes:
            return 0.0
        while len(self._seen) > 1 and self._seen[1][0] <= replayed:
            self._seen.popleft()
        position, at = self._seen[0]
        if position <= replayed:  # WAL was written evenly until the next, as far as we know
            after, later = self._seen[1]
            at += (later - at) * (replayed - position) / (after - position)
        return max(now - at, pressure.replay_lag_s or 0.0)


def _mb(count: int) -> str:
    return f"{count / 2**20:,.0f} MB"
