"""Counts and lists things in words; sentences of a run that a record is searched for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# What a run says of its block when the transaction has come to nothing.
BLOCK_ROLLED_BACK = "The block failed and was rolled back: nothing of it is there."
REVERT_ROLLED_BACK = "The revert failed and was rolled back: the block is there as it was."

_SHOWN = 8
_ALONE = r"(?<!\w)NAME(?!\w)"
# A name that may be a word, such as `users`: in quotes, before a dot, after `schema` or a colon.
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
    """Return a text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def counted(number: int, noun: str) -> str:
    """Return `1 block`, `2 indexes`, `1,000 columns`."""
    if number == 1:
        return f"1 {noun}"
    plural = _PLURALS.get(noun, f"{noun}s")
    return f"{number:,} {plural}"


def tally(counts: Mapping[str, int]) -> str:
    """Return `3 made, 1 dropped`."""
    return ", ".join(f"{number} {what}" for what, number in counts.items())


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """Return the names; of many, the first ones and how many more."""
    text = ", ".join(names[:most])
    if len(names) > most:
        text += f" and {len(names) - most} more"
    return text


def without_names(text: str, *names: str) -> str:
    """Return the text with `…` for each of these names. A name of letters alone may be a word of
    the text: it is replaced only where names stand.
    """
    for name in filter(None, names):
        places = _WHERE_NAMES_STAND if name.isalpha() else _ALONE
        text = re.sub(places.replace("NAME", re.escape(name)), "…", text)
    return text


def pending(runbooks: Sequence[str]) -> str:
    """Return `001_a, 002_b, which are pending`; empty for none."""
    if not runbooks:
        return ""
    verb = "is" if len(runbooks) == 1 else "are"
    return f"{', '.join(runbooks)}, which {verb} pending"
