"""What the database says that a backfill is to give way to."""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.postgres.catalog import Connection


@dataclass(frozen=True, slots=True)
class Pressure:
    """One look at the database."""


def look(_conn: Connection, _table: str) -> Pressure:
    """Look now. Reads only."""
    return Pressure()
