"""What a backfill gives way to, as the header `-- give way:` says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """A backfill pauses above each of these."""

    @classmethod
    def parse(cls, *_texts: str) -> Limits:
        """The limits that texts state."""
        return cls()
