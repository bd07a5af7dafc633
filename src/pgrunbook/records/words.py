"""How the answers of the reviewer's page count and list things."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 8


def sentence(text: str) -> str:
    """A text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def counted(number: int, noun: str) -> str:
    """`1 block`, `2 blocks`."""
    plural = "indexes" if noun == "index" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def listed(names: Sequence[str]) -> str:
    """The names; of many, the first ones and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
