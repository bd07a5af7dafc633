"""Finds the first row of a batch that breaks a constraint, and keeps what the server says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from psycopg import errors

REMEDY = (
    "correct the row, or what breaks the constraint, then run again: it goes on here; or add the "
    "header `-- skip: rows that break a constraint`, which puts such rows aside"
)


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """What is known of a row that breaks a constraint, without its values: they may be secret."""

    sqlstate: str
    table_name: str
    constraint_name: str

    @classmethod
    def of(cls, exc: errors.IntegrityError) -> Self:
        """What the server says of it."""
        said = exc.diag
        table = ".".join(filter(None, [said.schema_name, said.table_name]))
        return cls(exc.sqlstate or "", table, said.constraint_name or said.column_name or "")


def count_before_broken(rows: int, breaks: Callable[[int], bool]) -> int:
    """Return how many rows of a batch come before the first one that breaks a constraint.

    `breaks` tells whether one of the first so many rows does; it is called about log2(rows) times.
    No field of the server's error tells which row it was: so the batch is halved again and again.
    """
    sound, broken = 0, rows
    while broken - sound > 1:
        middle = (sound + broken) // 2
        if breaks(middle):
            broken = middle
        else:
            sound = middle
    return sound
