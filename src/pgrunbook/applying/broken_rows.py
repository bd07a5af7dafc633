"""Rows of a batch that break a constraint: which is the first, and what the server says of it."""

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
class Broken:
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


def before_the_first(rows: int, breaks: Callable[[int], bool]) -> int:
    """How many rows of a batch that breaks a constraint come before the first that does; `breaks`
    is asked about the first so many rows, as often as these can be halved.
    """
    sound, broken = 0, rows
    while broken - sound > 1:
        middle = (sound + broken) // 2
        if breaks(middle):
            broken = middle
        else:
            sound = middle
    return sound
