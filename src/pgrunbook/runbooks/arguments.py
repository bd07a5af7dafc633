"""Parameters as the command line gives them, as text: for each runbook those that it declares, as
it declares them.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pgrunbook.errors import Refused
from pgrunbook.runbooks import parameters
from pgrunbook.runbooks.project import Project


class Arguments(NamedTuple):
    """What a runbook is given, and all its parameters with that."""

    given: dict[str, Any]
    chosen: parameters.Parameters


def read_arguments(
    notebooks: Sequence[Path], pairs: list[tuple[str, str | None]]
) -> dict[Path, Arguments]:
    """What each of the runbooks is given of these names and values: of several, what it declares.
    Raises Refused for what none declares, for what is given twice, and for what is not valid.
    """
    for name, value in pairs:
        if not _is_text(f"{name}{value}"):
            remedy = (
                "set LC_ALL to a locale whose encoding is that of the terminal, such as C.UTF-8"
            )
            raise Refused.of(
                "is not text in the encoding of this locale", where=name, remedy=remedy
            )
    declared = {path: parameters.read_declaration(path) for path in notebooks}
    known = {name for declaration in declared.values() for name in declaration}
    unknown = [name for name, _ in pairs if name not in known]
    found = {}
    for path, declaration in declared.items():
        given = _given(declaration, [(n, v) for n, v in pairs if n in declaration or n in unknown])
        found[path] = Arguments(given, parameters.validate(declaration, given))
    return found


def _is_text(given: str) -> bool:
    """Whether it can be written: Python keeps bytes of the command line that it cannot decode as
    lone surrogates.
    """
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def command_again(project: Project, runbook: str, chosen: parameters.Parameters, mode: str) -> str:
    """The command that runs this runbook, or another one, in another mode: on the same target and
    schema, and with the parameters that it declares as they are here. Can be pasted into a shell.
    """
    try:
        declared = parameters.read_declaration(project.runbook(runbook))
    except Refused:  # it is not here any more: then it takes what every runbook does
        declared = {"schema": "public"}
    now = chosen.record()
    words = ["pgrunbook", "run", runbook, "--target", chosen.target, "--mode", mode]
    for name, default in declared.items():
        if (
            name in now
            and name not in _OF_ONE_RUN
            and type(now[name]) is type(default)
            and now[name] != default
        ):
            words += ["-p", name, now[name] if isinstance(default, str) else repr(now[name])]
    return shlex.join(words)


# What another run gets otherwise, or must not get: an approval is of one plan, and nothing is
# discarded by habit.
_OF_ONE_RUN = ("target", "mode", "approved_plan", "approver", "discard")


def _given(declaration: dict[str, Any], pairs: list[tuple[str, str | None]]) -> dict[str, Any]:
    """Values as the declared types: a text stays a text, `007` and `true` too; the rest is read as
    Python writes it.
    """
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
