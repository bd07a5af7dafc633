"""What is known of a column that is to accept one more value. PostgreSQL has no name for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Fact(NamedTuple):
    """One fact, by its kind.

    - `value`: the column accepts the value.
    - `check`: this constraint of the column lets the value in.
    - `validated`: this constraint is known to hold for every row, too.
    """

    kind: str
    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name}"


# Each with the value, or with `yes`.
Facts = Mapping[Fact, str]
