"""The attempts at a batch until it has committed: those that did not get their locks, and those
that were left to whoever waited for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from psycopg import errors

from pgrunbook.applying import lock_waits
from pgrunbook.applying.lock_waits import Report
from pgrunbook.applying.waiters import GaveWay
from pgrunbook.durations import milliseconds
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.blockers import Attempt, Blocker
from pgrunbook.postgres.run_sessions import Sessions

T = TypeVar("T")

# A batch that fails with one of these is tried again as it is.
_AGAIN = (*lock_waits.WITHOUT_LOCKS, errors.SerializationFailure)


@dataclass(slots=True)
class BatchAttempts:
    """The attempts at a block's next batch, each reported as soon as it is over. `made` has those
    since the last batch that was committed.
    """

    sessions: Sessions
    block: str
    timeouts: Timeouts
    report: Report
    sleep: Callable[[float], None] = time.sleep
    made: list[Attempt] = field(default_factory=list)

    def retry(self, action: Callable[[], T]) -> T:
        """Call the action, and again as long as somebody holds one of its locks for longer than
        lock_timeout. See `lock_waits.retry`.
        """
        # Without the limit for all locks together that `in_transaction` sets: a batch may wait as
        # long as nobody waits for it, and `one_batch` watches for that.
        work, look = self.sessions.work, self.sessions.look
        return lock_waits.retry(
            action,
            block=self.block,
            budget=self.timeouts.lock_budget,
            watch=lambda: lock_waits.watch_blockers(work, look, self.timeouts.lock_timeout),
            report=self._note,
            sleep=self.sleep,
            again=_AGAIN,
        )

    def note_gave_way(self, began_at: datetime, gave_way: GaveWay) -> None:
        """Note an attempt that gave way to somebody who waited for it. Sleeps for as long as after
        one that did not get its locks, so that whoever queues has its turn.
        """
        number = self.count
        lasted_ms = round((datetime.now(UTC) - began_at).total_seconds() * 1000, 1)
        who = gave_way.waiters.who
        seen = (who,) if who else ()
        self._note(Attempt(self.block, number, began_at, lasted_ms, got_locks=False, blockers=seen))
        self.sleep(lock_waits.pause_s(number))

    @property
    def used_up(self) -> bool:
        """Whether lock_budget has passed since the first of them began."""
        began_at = self.made[0].started_at
        budget_ms = milliseconds(self.timeouts.lock_budget)
        return (datetime.now(UTC) - began_at).total_seconds() * 1000 >= budget_ms

    @property
    def count(self) -> int:
        """How many there were, with the one that commits."""
        return 1 + sum(not attempt.got_locks for attempt in self.made)

    @property
    def blockers(self) -> list[Blocker]:
        """Who was in their way."""
        blockers: list[Blocker] = []
        for attempt in self.made:
            blockers += attempt.blockers
        return blockers

    def _note(self, attempt: Attempt) -> None:
        self.made.append(attempt)
        self.report(attempt)
