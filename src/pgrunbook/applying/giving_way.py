"""Between two batches: whether it is time for the next one, or for the run to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgrunbook import durations
from pgrunbook.applying.pace import Pace
from pgrunbook.errors import Interrupted
from pgrunbook.ledger import batches, requests
from pgrunbook.postgres import pressure
from pgrunbook.postgres.run_sessions import Sessions

LOOK_S = 1.0  # how often to look, in a pause


@dataclass(slots=True)
class GivingWay:
    """Waits before a batch as long as there is a reason to, and ends the run when its time is
    over.
    """

    sessions: Sessions
    run_id: str
    block: str
    backfill: int
    table: str
    pace: Pace
    until_ms: int | None = None
    sleep: Callable[[float], None] = time.sleep
    _began: float = field(default_factory=time.monotonic)

    def before_a_batch(self, far: str) -> None:
        """Return when it is time for the next batch; a pause is noted in the ledger. `far` is how
        far it has come, for the error: Interrupted if the run is to end.
        """
        self._end_in_time(far)
        self.sleep(self.pace.rest_s)
        began_at, reasons = datetime.now(UTC), dict[str, None]()
        try:
            while asking := self._reasons(far):
                reasons |= dict.fromkeys(asking)
                self.sleep(LOOK_S)
                self._end_in_time(far)
        finally:
            if reasons:
                batches.note_pause(
                    self.sessions.work,
                    self.backfill,
                    self.run_id,
                    began_at,
                    datetime.now(UTC),
                    [*reasons],
                )

    def _reasons(self, far: str) -> list[str]:
        look = self.sessions.look
        asked = requests.asked(look, self.run_id)
        if asked == "stop":
            raise _interrupted(self.block, "was asked to stop", far)
        reasons = self.pace.pause(pressure.look(look, self.table))
        return [*reasons, "asked to pause"] if asked == "pause" else reasons

    def _end_in_time(self, far: str) -> None:
        if self.until_ms and (time.monotonic() - self._began) * 1000 >= self.until_ms:
            what = f"is not done after {durations.words(self.until_ms)}, as its header says"
            raise _interrupted(self.block, what, far)


def _interrupted(block: str, what: str, far: str) -> Interrupted:
    return Interrupted.of(what, where=block, found=far, remedy="run again: it goes on from there")
