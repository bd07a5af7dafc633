"""While a statement of ours has locks on rows: whoever of the application waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.session import Session


class GaveWay(psycopg.errors.QueryCanceled):
    """The statement was cancelled, as somebody waited for its transaction."""


@dataclass(slots=True)
class Waiters:
    """Who has waited: how long in milliseconds at most."""

    waited_ms: float = 0.0


@contextmanager
def cancelling(_work: Session, _look: Connection, _limit_ms: float) -> Iterator[Waiters]:
    """In the `with` block `work` runs statements of one transaction."""
    yield Waiters()
