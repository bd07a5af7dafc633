"""Options in parentheses, as EXPLAIN, VACUUM and REINDEX have them."""

from __future__ import annotations

from collections.abc import Sequence

from pglast import ast


def is_on(options: Sequence[ast.DefElem] | None, name: str, *, default: bool = False) -> bool:
    """Return whether a boolean option is on, as defGetBoolean tells it
    (src/backend/commands/define.c); the last one of that name counts.
    """
    on = default
    for option in options or ():
        if option.defname == name:
            on = _is_true(option.arg)
    return on


def _is_true(value: object) -> bool:
    match value:
        case ast.Integer(ival=number):
            return bool(number)
        case ast.Boolean(boolval=on):
            return bool(on)
        case ast.String(sval=word) | ast.TypeName(names=(ast.String(sval=word),)):
            return str(word).lower() in ("true", "on")
    return True  # named alone
