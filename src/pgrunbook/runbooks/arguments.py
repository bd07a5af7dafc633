"""Parameters as the command line gives them, as text: for each runbook those that it declares, as
it declares them.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pgrunbook.errors import Refused
from pgrunbook.runbooks import parameters
from pgrunbook.runbooks.blocks import entry_of
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.sql_files import block_paths


class Arguments(NamedTuple):
    """What a runbook is given, and all its parameters with that."""

    given: dict[str, Any]
    chosen: parameters.Parameters


def read_arguments(
    notebooks: Sequence[Path], pairs: list[tuple[str, str | None]]
) -> dict[Path, Arguments]:
    """Return what each of the runbooks is given of these names and values: of several, what it
    declares. Raises Refused for what none declares, for what is given twice, and for what is not
    valid.
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
    known: set[str] = set().union(*declared.values())
    found = {}
    for path, declaration in declared.items():
        # what no runbook declares is given to each, which refuses it and says what it takes
        own = [(n, v) for n, v in pairs if n in declaration or n not in known]
        given = _convert(declaration, own)
        found[path] = Arguments(given, parameters.validate(declaration, given))
    return found


def share_adopted(project: Project, asked: Mapping[Path, Arguments]) -> dict[Path, Arguments]:
    """Return the same with an `adopt` that has, for each runbook, the names of its own blocks. A
    name that no runbook knows stays in each, which refuses it.
    """
    blocks = {path: block_paths(project.sql(path.stem) / "deploy").keys() for path in asked}
    known: set[str] = set().union(*blocks.values())
    shared = dict(asked)
    for path, (given, chosen) in asked.items():
        if "adopt" not in given:
            continue
        others = known.difference(blocks[path])
        names = [name.strip() for name in chosen.adopt.split(",")]
        own = {"adopt": ",".join(name for name in names if entry_of(name) not in others)}
        shared[path] = Arguments(given | own, chosen.model_copy(update=own))
    return shared


def _is_text(given: str) -> bool:
    """Return whether it can be written. Python keeps bytes of the command line that it cannot
    decode as lone surrogates.
    """
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def command_again(project: Project, runbook: str, chosen: parameters.Parameters, mode: str) -> str:
    """Return the command that runs a runbook in another mode: on the same target and schema, with
    the parameters that it declares as they are here. It can be pasted into a shell.
    """
    try:
        declared = parameters.read_declaration(project.runbook(runbook))
    except Refused:  # it is not here any more: then it takes what every runbook does
        declared = {"schema": "public"}
    now = chosen.record()
    words = ["pgrunbook", "run", runbook, "--target", chosen.target, "--mode", mode]
    for name, default in declared.items():
        if name not in now or name in _OF_ONE_RUN:
            continue
        value = now[name]
        # another runbook may declare a parameter of the same name and another type
        if type(value) is type(default) and value != default:
            text = value if isinstance(value, str) else repr(value)
            words += ["-p", name, text]
    return shlex.join(words)


# The parameters that another run does not take over: an approval is of one plan, and rows are to be
# discarded only by whoever names them.
_OF_ONE_RUN = ("target", "mode", "approved_plan", "approver", "discard")


_NO_LITERAL = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)


def _convert(declaration: dict[str, Any], pairs: list[tuple[str, str | None]]) -> dict[str, Any]:
    """Return the values in the declared types. For a text any value stays as it is, `007` and
    `true` too; for other types it is read as a literal of Python.
    """
    given: dict[str, Any] = {}
    for name, value in pairs:
        if value is None:
            continue
        if name in given:
            raise Refused.of("given twice", where=name, remedy="give each parameter once")
        given[name] = value
        if not isinstance(declaration.get(name, ""), str):
            with suppress(*_NO_LITERAL):  # `validate` says what it takes
                given[name] = ast.literal_eval(value)
    return given
