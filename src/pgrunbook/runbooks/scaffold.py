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
    _require(project, name)
    runbook = f"{_next(project):03}_{name}"
    folder = project.sql(runbook)
    files = {project.root / "runbooks" / f"{runbook}.ipynb": "runbook.ipynb"}
    files |= {
        folder / kind / f"010_{name}.sql": f"{kind}.sql" for kind in ("deploy", "verify", "revert")
    }
    words = name.replace("_", " ").capitalize()
    values = {
        "number": runbook[:3],
        "runbook": runbook,
        "name": name,
        "title": words,
        "cell": name.replace("_", "-"),
    }
    for path, template in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, _environment().get_template(template).render(values).encode())
    return list(files)


def _require(project: Project, name: str) -> None:
    problems = []
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > _LONGEST:
        expected = f"lower-case words with underscores between, {_LONGEST} characters at most"
        problems.append(
            Problem(
                "cannot be the name of a runbook", where="NAME", expected=expected, found=repr(name)
            )
        )
    # the template's table is called so, unquoted
    if name in RESERVED_KEYWORDS | TYPE_FUNC_NAME_KEYWORDS:
        remedy = f"add a word: {name}_lookup, say"
        problems.append(
            Problem("is a reserved word of SQL", where="NAME", found=repr(name), remedy=remedy)
        )
    if taken := [path.stem for path in project.runbooks() if path.stem.partition("_")[2] == name]:
        problems.append(
            Problem("there is a runbook of that name", where="runbooks/", found=", ".join(taken))
        )
    if problems:
        raise Refused("No runbook was made.", problems=problems)


def _next(project: Project) -> int:
    """After the last number in use; a folder of SQL whose notebook is gone counts too."""
    names = [*project.runbooks(), *(project.root / "sql").glob("*/")]
    numbers = [int(match[0]) for path in names if (match := re.match(r"\d+", path.name))]
    return max(numbers, default=0) + 1


def _environment() -> Environment:
    loader = PackageLoader("pgrunbook", "templates/new")
    # no HTML
    return Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
