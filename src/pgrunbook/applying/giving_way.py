"""Decides between two batches whether it is time for the next one, whether to pause or to vacuum,
and whether the run has to end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgrunbook import durations
from pgrunbook.applying.pace import Pace
from pgrunbook.applying.vacuum import VacuumResult, vacuum
from pgrunbook.errors import Interrupted, Problem
from pgrunbook.ledger import batches, requests, write
from pgrunbook.ledger.requests import Request
from pgrunbook.postgres import pressure
from pgrunbook.postgres.pressure import Pressure
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.records.backfill import LAG_UNSEEN, NOT_DONE, kind

LOOK_S = 1.0  # how often to look, in a pause
_OFTEN_S = 0.2  # and without one at most: batches may be shorter


@dataclass(slots=True)
class GivingWay:
    """Waits before a batch for as long as there is a reason to, and ends the run when its time is
    over.

    - `backfill` is its number in the ledger.
    - `until_ms` is from the header `until`; None if the block has none.
    - `tell` is called with the reasons of a pause.
    - `vacuums` are those that it has done.
    """

    sessions: Sessions
    run_id: str
    block: str
    backfill: int
    table: str
    pace: Pace
    until_ms: int | None
    tell: Callable[[Sequence[str]], object]
    sleep: Callable[[float], None] = time.sleep
    vacuums: list[VacuumResult] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _looked: float = 0.0
    _paused_at: datetime = field(init=False)
    _reasons: dict[str, str] = field(default_factory=dict)  # of this pause, by their kinds
    _lag_s: float | None = None  # the most in this pause
    _blind: bool = False  # whether it was noted that the lag of replicas cannot be seen

    def before_a_batch(self, far: str) -> None:
        """Return when it is time for the next batch. A pause is written into the ledger with its
        reasons when it begins, when it gets a new reason, and when it has ended.

        `far` says in words how far the block has come. Raises Interrupted with it if the run is to
        end.
        """
        self._end_in_time(far)
        self.sleep(self.pace.rest_s)
        if time.monotonic() - self._looked < _OFTEN_S:
            return
        self._paused_at = datetime.now(UTC)
        self._reasons.clear()
        self._lag_s = None
        try:
            while reasons := self._look(far):
                self._note(*reasons)
                self.tell(reasons)
                self.sleep(LOOK_S)
                self._end_in_time(far)
        finally:
            if self._reasons and not self.sessions.work.closed:
                self._note_pause(datetime.now(UTC))

    def note_now(self, reason: str) -> None:
        """Write into the ledger what was seen between two batches without a pause, and tell it."""
        now = datetime.now(UTC)
        about = self.backfill, self.run_id, now, now
        batches.note_pause(self.sessions.work, *about, [reason], None)
        self.tell([reason])

    def _note(self, *reasons: str) -> None:
        """Note the reasons of a pause. Each stays as it was first, as its numbers change with every
        look. A new one is written into the ledger at once, for whoever asks during the pause.
        """
        known = len(self._reasons)
        for reason in reasons:
            self._reasons.setdefault(kind(reason), reason)
        if len(self._reasons) > known:
            self._note_pause(None)

    def _note_pause(self, ended_at: datetime | None) -> None:
        about = self.backfill, self.run_id, self._paused_at, ended_at
        batches.note_pause(self.sessions.work, *about, [*self._reasons.values()], self._lag_s)

    def _look(self, far: str) -> list[str]:
        """Return why to pause now. A vacuum that is due comes first: it may take a reason away."""
        look = self.sessions.look
        self._looked = time.monotonic()
        asked = self._asked(far)
        seen = pressure.look(look, self.table)
        if pressure.LAG in seen.unseen and not self._blind:
            self._blind = True
            self.note_now(LAG_UNSEEN)
        if asked is None and self.pace.vacuum_is_due(seen):
            self._note(f"the table is vacuumed, as {seen.dead_percent:.0f}% of its rows are dead")
            seen = self._vacuum()
            self._end_in_time(far)
            asked = self._asked(far)
        reasons = self.pace.pause(seen)
        if self.pace.lag_s is not None:
            self._lag_s = max(self.pace.lag_s, self._lag_s or 0.0)
        return [*reasons, str(asked)] if asked else reasons

    def _asked(self, far: str) -> Request | None:
        """Return the pause that somebody has asked for and not ended; None if nobody has. Raises
        Interrupted if somebody has asked the run to stop.
        """
        asked = requests.last_request(self.sessions.look, self.run_id)
        if asked and asked.what == "stop":
            raise _interrupted(self.block, str(asked), far)
        return asked if asked and asked.what == "pause" else None

    def _asked_meanwhile(self) -> bool:
        """Whether a pause or a stop was asked for during a vacuum. It is called at every look for
        waiters, and asks the ledger only as often as in a pause.
        """
        if time.monotonic() - self._looked < LOOK_S:
            return False
        self._looked = time.monotonic()
        asked = requests.last_request(self.sessions.look, self.run_id)
        return asked is not None and asked.what != "resume"

    def _vacuum(self) -> Pressure:
        """Vacuum the table, and look anew."""
        sessions = self.sessions
        number = len(self.vacuums) + 2  # the statement of the batches is the first

        def note(sql: str, elapsed_ms: float | None) -> None:
            about = self.run_id, self.block, number
            write.note_statement(sessions.work, *about, sql, elapsed_ms)

        limit_ms = self.pace.lock_timeout_ms
        done = vacuum(
            sessions.work,
            sessions.look,
            self.table,
            limit_ms=limit_ms,
            note=note,
            left_ms=self._left_ms,
            asked=self._asked_meanwhile,
        )
        self.vacuums.append(done)
        seen = pressure.look(sessions.look, self.table)
        self.pace.note_vacuum(done.elapsed_ms, seen)
        return seen

    def _end_in_time(self, far: str) -> None:
        if self.until_ms and self._past_ms >= self.until_ms:
            what = f"is not done after {durations.words(self.until_ms)}, as its header says"
            raise _interrupted(self.block, what, far)

    @property
    def _past_ms(self) -> float:
        return (time.monotonic() - self._began) * 1000

    @property
    def _left_ms(self) -> float:
        """What is left of the time of the header `until`; 0 if it states none."""
        return max(1.0, self.until_ms - self._past_ms) if self.until_ms else 0.0


def _interrupted(block: str, what: str, far: str) -> Interrupted:
    problem = Problem(f"{what}; {far}", block, remedy="run again: it goes on from there")
    return Interrupted(NOT_DONE, problems=[problem])
