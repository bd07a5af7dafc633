"""What is wrong with the SQL of runbooks as far as it shows without a database: squawk's rules, and
our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import (
    cells,
    kernel_spec,
    notebooks,
    pairs,
    parameters,
    squawk,
    started_with,
)
from pgrunbook.runbooks.lint_rules import RULES
from pgrunbook.runbooks.scripts import Script
from pgrunbook.runbooks.source import Source
from pgrunbook.runbooks.sql_files import block_paths


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to mend. `file` is relative to the folder that holds `sql/`; `line` counts from
    1.
    """

    file: str
    line: int
    rule: str
    message: str
    remedy: str
    expected: str = ""
    found: str = ""

    @classmethod
    def of(cls, problem: Problem, file: str, rule: str) -> Self:
        """Return what the engine itself says of a file, whose place is not repeated."""
        place = problem.where.removeprefix(file)
        match = re.fullmatch(r"(?::(\d+))?(?:, )?(.*)", place, re.DOTALL)
        assert match  # it can match nothing
        line, subject = match.groups()
        message = problem.what
        if subject:
            message = f"{subject}: {message}"
        remedy = problem.remedy or "correct the file"
        return cls(file, int(line or 1), rule, message, remedy, problem.expected, problem.found)

    @property
    def problem(self) -> Problem:
        """The same, as every other problem is told."""
        what, where = f"{self.message} [{self.rule}]", f"{self.file}:{self.line}"
        return Problem(what, where, self.expected, self.found, self.remedy)

    def __str__(self) -> str:
        return "\n".join(self.problem.lines())


def lint(sql: Path) -> list[Finding]:
    """Return what is wrong with the SQL of every runbook in the folder `sql`, in the order of files
    and lines, and with the cells of the notebooks beside it that apply it.

    Of a file that cannot even be parsed, that alone is reported. Raises Refused if the folder or
    squawk is missing, Failed if squawk does not work.
    """
    if not sql.is_dir():
        raise Refused.of(
            "there is no such folder", where=str(sql), remedy="keep the SQL in sql/NNN_name/"
        )
    # a folder or notebook without a number is not a runbook's
    folders = [path for path in sql.iterdir() if path.is_dir() and re.match(r"\d", path.name)]
    found: list[Finding] = []
    for folder in folders:
        for finding in _findings(folder):
            found.append(replace(finding, file=f"{sql.name}/{folder.name}/{finding.file}"))
    beside = sql.parent / "runbooks"
    runbooks = sorted(path for path in beside.glob("*.ipynb") if re.match(r"\d", path.name))
    for notebook in runbooks:
        found += _of_notebook(notebook, sql)
    if beside.is_dir():
        for problem, rule in pairs.problems(runbooks, folders):
            found.append(Finding.of(problem, problem.where, rule))
    return sorted(found)


def _of_notebook(notebook: Path, sql: Path) -> Iterator[Finding]:
    """Yield what a run would refuse of the notebook, or could not end without."""
    problems: list[Problem] = []
    try:
        notebooks.require_valid(notebook)
        problems += cells.problems(notebook, block_paths(sql / notebook.stem / "deploy"))
        problems += cells.missing_calls(notebook)
        problems += cells.secrets(notebook)
        started_with.require_not_executed(notebook)
        problems += cells.set_again(notebook, parameters.read_declaration(notebook))
        kernel_spec.require(notebooks.kernel(notebook), notebook.name)
    except Refused as exc:
        problems += exc.problems
    for problem in problems:
        yield replace(Finding.of(problem, notebook.name, "cells"), file=f"runbooks/{notebook.name}")


def _findings(folder: Path) -> Iterator[Finding]:
    source = Source.read_usable(folder)
    for file, problems in source.unusable.items():
        for problem in problems:
            yield Finding.of(problem, file, "usable")
    # written for another tool, reviewed and run there: of these only what a run would refuse
    imported = {script.name for script in source.scripts() if script.imported}
    for rule in RULES:
        for file, line, message in rule.check(source):
            if file not in imported:
                yield Finding(file, line, rule.name, message, rule.remedy)
    for script in source.scripts("deploy"):
        if script.name not in imported:
            yield from _squawk(script, squawk.EXCLUDED | squawk.SAID_BY_HAZARDS)
    for script in source.scripts("revert"):
        if script.name not in imported:
            yield from _squawk(script, squawk.EXCLUDED_FROM_REVERT)


def _squawk(script: Script, excluded: Mapping[str, str]) -> Iterator[Finding]:
    """squawk's view of a file, every placeholder filled in with its own name."""
    transaction = script.header.get("transaction") != "no"
    found = squawk.complaints(script.parsable, script.name, excluded, transaction=transaction)
    for complaint in found:
        line, rule, message, remedy = complaint
        yield Finding(script.name, line, f"squawk:{rule}", message, remedy)
