"""How long a block may wait for its locks, and a statement may run."""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.durations import milliseconds
from pgrunbook.runbooks.blocks import Block


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`lock_timeout`, `statement_timeout`, and `lock_budget`, for how long to try for locks: all as
    PostgreSQL writes durations.

    lock_timeout bounds for how long others wait behind a block. They wait for its locks, and then
    for two round trips in which it holds them: while its effect is read, and until it commits.
    """

    lock_timeout: str
    statement_timeout: str
    lock_budget: str
    round_trip_ms: float = 0.0

    def of(self, block: Block) -> Timeouts:
        """Return the timeouts of a block: its own, as far as its header gives them."""
        chosen = {
            "lock_timeout": self.lock_timeout,
            "statement_timeout": self.statement_timeout,
            **block.timeouts,
        }
        return Timeouts(**chosen, lock_budget=self.lock_budget, round_trip_ms=self.round_trip_ms)

    @property
    def wait(self) -> str:
        """How long to wait for locks."""
        held_ms = round(self.held_ms)
        if not held_ms:
            return self.lock_timeout
        return f"{max(1, milliseconds(self.lock_timeout) - held_ms)}ms"

    @property
    def held_ms(self) -> float:
        """For how long locks are held once the block has done its work."""
        return 2 * self.round_trip_ms

    @property
    def settings(self) -> dict[str, str]:
        """Those of a block's transaction, by the names of the server's parameters."""
        return {
            "lock_timeout": self.wait,
            "statement_timeout": self.statement_timeout,
            "idle_in_transaction_session_timeout": _IDLE,
        }


# If our side stops in the middle of a block (a laptop that sleeps), the server gives its locks back
# after this.
_IDLE = "3s"
