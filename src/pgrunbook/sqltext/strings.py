"""The strings in a statement as PostgreSQL takes them: names and constants, without quotes and
escapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast


def strings(node: ast.Node) -> Iterator[str]:
    """Yield each, however it is written, `€` of `U&'\\20AC'`; and the words of the parse tree."""
    yield from _within(node(skip_none=True))


def _within(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for each in part.values():
            yield from _within(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _within(each)
