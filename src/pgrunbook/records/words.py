"""How things are counted and listed in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHOWN = 8
_ALONE = r"(?<!\w)NAME(?!\w)"
# In quotes, before a dot, and behind `schema` or a colon.
_WHERE_NAMES_STAND = "|".join(
    (
        r"""(?<=['"])NAME(?=['"])""",
        r"""(?<!\w)NAME(?=\.[\w"])""",
        r"(?<=schema )NAME(?!\w)",
        r"(?<=\w:)NAME(?!\w)",
    )
)
_PLURALS = {"batch": "batches", "index": "indexes", "policy": "policies"}


def sentence(text: str) -> str:
    """A text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def counted(number: int, noun: str) -> str:
    """`1 block`, `2 indexes`, `1,000 columns`."""
    if number == 1:
        return f"1 {noun}"
    plural = _PLURALS.get(noun, f"{noun}s")
    return f"{number:,} {plural}"


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """The names; of many, the first ones and how many more."""
    text = ", ".join(names[:most])
    if len(names) > most:
        text += f" and {len(names) - most} more"
    return text


def without_names(text: str, *names: str) -> str:
    """The text with a mark for each of these names: wherever one stands by itself; of one that may
    be a word of the text, only where a name stands.
    """
    for name in filter(None, names):
        places = _WHERE_NAMES_STAND if name.isalpha() else _ALONE
        text = re.sub(places.replace("NAME", re.escape(name)), "…", text)
    return text


def pending(runbooks: Sequence[str]) -> str:
    """`001_a, 002_b, which are pending`; empty for none."""
    if not runbooks:
        return ""
    return f"{', '.join(runbooks)}, which {'is' if len(runbooks) == 1 else 'are'} pending"
