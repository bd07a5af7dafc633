"""Parameters as the command line gives them, as text: for each runbook those that it declares, as it declares them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pgrunbook import parameters
from pgrunbook.errors import Refused


class Asked(NamedTuple):
    """What a runbook is given, and all its parameters with that."""

    given: dict[str, Any]
    chosen: parameters.Parameters


def asked(notebooks: Sequence[Path], pairs: list[tuple[str, str | None]]) -> dict[Path, Asked]:
    """What each of the runbooks is given of these names and values: of several, what it declares. Raises Refused for
    what none declares, for what is given twice, and for what is not valid.
    """
    declared = {path: parameters.declared(path) for path in notebooks}
    known = {name for declaration in declared.values() for name in declaration}
    unknown = [name for name, _ in pairs if name not in known]
    found = {}
    for path, declaration in declared.items():
        given = _given(declaration, [(n, v) for n, v in pairs if n in declaration or n in unknown])
        found[path] = Asked(given, parameters.validate(declaration, given))
    return found


def _given(declaration: dict[str, Any], pairs: list[tuple[str, str | None]]) -> dict[str, Any]:
    """Values as the declared types: a text stays a text, `007` and `true` too; the rest is read as Python writes it."""
    given: dict[str, Any] = {}
    for name, value in pairs:
        if value is None:
            continue
        if name in given:
            raise Refused.of("given twice", where=name, remedy="give each parameter once")
        given[name] = value if isinstance(declaration.get(name, ""), str) else _literal(value)
    return given


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
