"""The names in an object's identity, as pg_identify_object writes it."""

from __future__ import annotations

import re

_NAME = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')

_ONE = r'(?:"(?:[^"]|"")*"|[^\s".,()]+)'
_DOTTED = re.compile(rf"{_ONE}(?:\.{_ONE})*")


def names(identity: str) -> tuple[str, ...]:
    """`("public", "Of 2026")` of `public."Of 2026"`: which names are quoted, the server knows."""
    return tuple(quoted.replace('""', '"') or plain for quoted, plain in _NAME.findall(identity))


def own(identity: str) -> str:
    """Return the object's own name: `state` of `public.invoices.state` and of `state on public.t`,
    `f` of `public.f(integer)`; empty for what has none, as a cast.
    """
    found = _DOTTED.match(identity)
    return names(found[0])[-1] if found else ""


def parent(identity: str) -> str:
    """Return the name of the table, or the domain, that an object is part of, as the identity has
    it: a column's, a constraint's, a trigger's. Empty if it is none.
    """
    match _DOTTED.findall(identity.partition("(")[0]):
        case [_, "on", whole, *_]:
            return names(whole)[-1]
        case [column] if len(names(column)) > 2:
            return names(column)[-2]
    return ""


def schema(identity: str) -> str | None:
    """Return the schema that an object is in: `public` of `state on public.invoices`. None if it is
    in none.
    """
    dotted = map(names, _DOTTED.findall(identity))
    return next((first for first, *more in dotted if more), None)
