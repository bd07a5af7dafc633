"""What is told of blocks while they are applied: to whoever shows it, or to nobody."""

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
        """A block before anything is done."""

    def outcome(self, done: Outcome) -> None:
        """A block after it was dealt with."""

    def attempts(self) -> Callable[[Attempt], None]:
        """What takes the attempts of the next block at its locks, each as soon as it is over."""

    def progress(self) -> Callable[[StatementProgress], None]:
        """What takes how far the next block has come, one outside a transaction."""

    def backfill(self) -> Callable[[parts.Progress], None]:
        """What takes how far the next block has come, one in batches."""

    def history(self, block: str, history: History) -> None:
        """How a block in batches has gone on, whether or not it has come to its end."""
