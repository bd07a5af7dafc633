"""A new runbook: a notebook and its SQL, made of a template that works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from pglast.keywords import RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS

from pgrunbook import files as atomic
from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks.project import Project

# characters: `probe_<name>` and constraints made of it have to fit PostgreSQL's 63 bytes
_LONGEST = 40


def new(project: Project, name: str) -> list[Path]:
    """Write `runbooks/NNN_<name>.ipynb` and a block in `sql/NNN_<name>/`, with the next number; the
    files, in order.

    Raises Refused for a name that cannot be one, or that a runbook has; then nothing is written.
    """
    runbook = runbook_name(project, name)
    name = runbook.partition("_")[2]  # a number that was given is no part of the table's name
    _require_word(name)
    folder = project.sql(runbook)
    notebook_path = project.root / "runbooks" / f"{runbook}.ipynb"
    texts = {notebook_path: notebook(runbook, "runbook.ipynb")}
    for kind in ("deploy", "verify", "revert"):
        texts[folder / kind / f"010_{name}.sql"] = _render(f"{kind}.sql", name=name)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, text.encode())
    return list(texts)


def notebook(runbook: str, template: str, **values: object) -> str:
    """Return the text of a runbook's notebook, made of a template."""
    number, _, name = runbook.partition("_")
    return _render(
        template,
        number=number,
        runbook=runbook,
        name=name,
        title=name.replace("_", " ").capitalize(),
        cell=name.replace("_", "-"),
        **values,
    )


def runbook_name(project: Project, name: str) -> str:
    """`NNN_name` with the next number, or with the one that is given. Raises Refused for a name
    that cannot be one, or that a runbook has.
    """
    number = ""
    if match := re.fullmatch(r"(\d{3,})_(.*)", name, re.DOTALL):
        number, name = match.groups()
    problems = []
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > _LONGEST:
        what = "cannot be the name of a runbook"
        expected = f"lower-case words with underscores between, {_LONGEST} characters at most"
        problems.append(Problem(what, where="NAME", expected=expected, found=repr(name)))
    same = []
    numbers = {}
    for other in _taken(project):
        digits, _, words = other.partition("_")
        numbers[int(digits)] = other
        if words == name:
            same.append(other)
    if same:
        found = ", ".join(same)
        problems.append(Problem("there is a runbook of that name", "runbooks/", found=found))
    if number and int(number) in numbers:
        found = numbers[int(number)]
        problems.append(Problem("there is a runbook of that number", "runbooks/", found=found))
    if problems:
        raise Refused("No runbook was made.", problems=problems)
    if not number:
        number = f"{max(numbers, default=0) + 1:03}"
    return f"{number}_{name}"


def _taken(project: Project) -> list[str]:
    """Return the names in use; a folder of SQL whose notebook is gone counts too."""
    named = [path.stem for path in project.runbooks()]
    folders = (project.root / "sql").glob("*/")
    return sorted({*named, *(path.name for path in folders if re.match(r"\d+_", path.name))})


def _require_word(name: str) -> None:
    """Raise Refused for a reserved word: the template's table is called so, unquoted."""
    if name in RESERVED_KEYWORDS | TYPE_FUNC_NAME_KEYWORDS:
        remedy = f"add a word: {name}_lookup, say"
        problem = Problem(
            "is a reserved word of SQL", where="NAME", found=repr(name), remedy=remedy
        )
        raise Refused("No runbook was made.", problems=[problem])


def _render(template: str, **values: object) -> str:
    loader = PackageLoader("pgrunbook", "templates/new")
    # no HTML
    made = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    return made.get_template(template).render(values)
