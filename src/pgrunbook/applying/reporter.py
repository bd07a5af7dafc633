"""What blocks report while they are applied: `run.reporters` shows it in cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pgrunbook.applying.outcome import Outcome
from pgrunbook.applying.progress import StatementProgress
from pgrunbook.ledger.batches import History
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.records.format import parts


class Reporter(Protocol):
    """Who is told of the blocks of a cell."""

    def decision(self, decision: Decision) -> None:
        """Report a block before anything is done."""

    def outcome(self, done: Outcome) -> None:
        """Report a block after something was done with it."""

    def attempts(self) -> Callable[[Attempt], None]:
        """Return what to call with each attempt of the next block at its locks."""

    def progress(self) -> Callable[[StatementProgress], None]:
        """Return what to call with how far the next block, outside a transaction, has come."""

    def backfill(self) -> Callable[[parts.Progress], None]:
        """Return what to call with how far the next block, in batches, has come."""

    def history(self, block: str, history: History) -> None:
        """Report the batches of a block, whether or not it is done."""
