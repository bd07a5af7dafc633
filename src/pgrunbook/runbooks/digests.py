"""Digests as they are shown: shortened, but never so that two which differ look the same."""

from __future__ import annotations

from collections.abc import Iterable

_FEWEST = 12  # digits, of 64


def short(digests: Iterable[str]) -> dict[str, str]:
    """Return how each of these begins: all by as many digits as it takes to tell them apart."""
    known = list(dict.fromkeys(digests))
    longest = max(map(len, known), default=0)
    digits = _FEWEST
    while digits < longest and len({each[:digits] for each in known}) < len(known):
        digits += 1
    return {each: each[:digits] for each in known}
