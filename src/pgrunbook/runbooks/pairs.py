"""Runbooks and their SQL: each has the other, and a number of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pgrunbook.errors import Problem

NAME = r"\d+_\w+"  # of a runbook, and of the folder of its SQL


def problems(runbooks: Sequence[Path], folders: Sequence[Path]) -> Iterator[tuple[Problem, str]]:
    """Yield what is wrong with the names of these notebooks and folders of SQL, each with the name
    of the rule.
    """
    for path in runbooks:
        if not re.fullmatch(NAME, path.stem):
            remedy = "rename it, and its SQL: NNN_name, with letters, digits and _"
            yield (
                Problem("is no name of a runbook", f"runbooks/{path.name}", remedy=remedy),
                "partners",
            )
    notebooks, sql = {path.stem for path in runbooks}, {path.name for path in folders}
    for name in sorted(sql - notebooks):
        remedy = (
            f"make runbooks/{name}.ipynb, rename the folder as its runbook is called, or delete it"
        )
        yield Problem("no runbook is called so", f"sql/{name}", remedy=remedy), "partners"
    for name in sorted(notebooks - sql):
        remedy = f"keep its SQL in sql/{name}/, or delete the runbook"
        yield Problem("there is no SQL for it", f"runbooks/{name}.ipynb", remedy=remedy), "partners"
    numbered: dict[int, str] = {}
    for name in sorted(notebooks):
        number = int(re.match(r"\d+", name)[0])  # type: ignore[index]  # they begin with one
        if (first := numbered.setdefault(number, name)) != name:
            remedy = (
                "give it, and its SQL, a number of its own; but not once it was run: the "
                "ledger has its name"
            )
            yield (
                Problem(f"has the number of {first}", f"runbooks/{name}.ipynb", remedy=remedy),
                "numbers",
            )
