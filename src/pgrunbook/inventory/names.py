"""The names in an object's identity, as pg_identify_object writes it."""

from __future__ import annotations

import re

_NAME = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')

_ONE = r'(?:"(?:[^"]|"")*"|[^\s".,()]+)'
_DOTTED = re.compile(rf"{_ONE}(?:\.{_ONE})*")


def names(identity: str) -> tuple[str, ...]:
    """`("public", "Of 2026")` of `public."Of 2026"`: which names are quoted, the server knows."""
    return tuple(quoted.replace('""', '"') or plain for quoted, plain in _NAME.findall(identity))


def schema(identity: str) -> str | None:
    """Return the schema that an object is in: `public` of `state on public.invoices`. None if it is
    in none.
    """
    dotted = map(names, _DOTTED.findall(identity))
    return next((first for first, *more in dotted if more), None)
