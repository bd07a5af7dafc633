"""The timeouts of a block: how long it may wait for its locks, and how long a statement may run."""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.durations import milliseconds
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts, as PostgreSQL writes durations.

    - `lock_timeout` bounds how long others wait for a block: while it waits for its locks itself,
      and then for the two round trips in which it holds them, one to read its effect, one to
      commit.
    - `statement_timeout` bounds each statement.
    - `lock_budget` bounds for how long it tries to get its locks, over all attempts.
    - `idle`: if our side stops in the middle of a block, as a laptop that goes to sleep, the server
      ends the session after this, and others get its locks. To read what thousands of statements
      have said and made takes longer.
    """

    lock_timeout: str
    statement_timeout: str
    lock_budget: str
    round_trip_ms: float = 0.0
    idle: str = "3s"  # how long our side may be silent in the middle of a block

    @classmethod
    def of_run(cls, chosen: Parameters, round_trip_ms: float) -> Timeouts:
        """Return the timeouts of a run, by its parameters."""
        timeouts = chosen.lock_timeout, chosen.statement_timeout, chosen.lock_budget
        return cls(*timeouts, round_trip_ms)

    def of(self, block: Block) -> Timeouts:
        """Return the timeouts of a block: its own, as far as its header gives them."""
        chosen = {
            "lock_timeout": self.lock_timeout,
            "statement_timeout": self.statement_timeout,
            **block.timeouts,
        }
        idle = f"{3 + len(block.statements) // 100}s"
        return Timeouts(
            **chosen, lock_budget=self.lock_budget, round_trip_ms=self.round_trip_ms, idle=idle
        )

    @property
    def wait(self) -> str:
        """How long an attempt may wait for locks: lock_timeout less the time that it holds them."""
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
        """The settings of a block's transaction, by the names of the server's parameters."""
        return {
            "lock_timeout": self.wait,
            "statement_timeout": self.statement_timeout,
            "idle_in_transaction_session_timeout": self.idle,
        }
