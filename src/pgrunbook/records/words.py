"""How the answers of the reviewer's page count and list things."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 8


def sentence(text: str) -> str:
    """A text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def counted(number: int, noun: str) -> str:
    """`1 block`, `2 blocks`."""
    if number == 1:
        return f"1 {noun}"
    plural = "indexes" if noun == "index" else f"{noun}s"
    return f"{number} {plural}"


def listed(names: Sequence[str]) -> str:
    """The names; of many, the first ones and how many more."""
    text = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        text += f" and {len(names) - _SHOWN} more"
    return text
