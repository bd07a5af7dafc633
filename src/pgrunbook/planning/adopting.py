"""The parameter `adopt`, which says what blocks were done by hand; and how to say that."""

from __future__ import annotations

from collections.abc import Sequence

NONE = "none"  # no block was done by hand, but for those that are named with it


def names_in(adopt: str) -> set[str]:
    """Return the names of blocks in the parameter, which has commas between them."""
    return _words(adopt) - {"", NONE}


def says_none(adopt: str) -> bool:
    """Whether the parameter says that no block was done by hand, but for those that it names."""
    return NONE in _words(adopt)


def _words(adopt: str) -> set[str]:
    return {name.strip() for name in adopt.split(",")}


def option(names: Sequence[str]) -> str:
    """Return what to type: `-p adopt 010_a,020_b`."""
    return f"-p adopt {','.join(names)}"


def remedy(by_hand: str, named: Sequence[str], assumed: Sequence[str]) -> str:
    """Return how to say whether blocks were done `by_hand`. What the parameter has `named` already
    stays; and what is `assumed` to be done is named beside `none`, so that it does not run again.
    """
    others = [*named, *assumed]
    none = "if none was"
    if others:
        none = "if no other was"
    return (
        f"say which blocks were done by hand: {option([*named, by_hand])}; or, {none}, "
        f"{option([*others, NONE])}"
    )
