"""What is wrong with the SQL of runbooks as far as it shows without a database: squawk's rules, and
our own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from pglast import ast, enums

from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import (
    cells,
    check_lines,
    kernel_spec,
    notebooks,
    pairs,
    parameters,
    squawk,
    started_with,
)
from pgrunbook.runbooks.scripts import Script
from pgrunbook.runbooks.source import KINDS, Source, block_paths
from pgrunbook.sqltext.dangers import dangers
from pgrunbook.sqltext.hazards import Danger, Thing, Trait


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
        message = f"{subject}: {problem.what}" if subject else problem.what
        remedy = problem.remedy or "correct the file"
        return cls(file, int(line or 1), rule, message, remedy, problem.expected, problem.found)

    @property
    def problem(self) -> Problem:
        """The same, as every other problem is told."""
        what, where = f"{self.message} [{self.rule}]", f"{self.file}:{self.line}"
        return Problem(what, where, self.expected, self.found, self.remedy)

    def __str__(self) -> str:
        return "\n".join(self.problem.lines())


# The file, its line, and what is wrong there.
Complaints: TypeAlias = Iterator[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One of our own rules: why it is there, and what to do where `check` complains."""

    name: str
    why: str
    remedy: str
    check: Callable[[Source], Complaints]

    def findings(self, source: Source) -> Iterator[Finding]:
        """Yield what of a runbook's SQL breaks the rule."""
        for file, line, message in self.check(source):
            yield Finding(file, line, self.name, message, self.remedy)


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
        yield from (Finding.of(problem, file, "usable") for problem in problems)
    # written for another tool, reviewed and run there: of these only what a run would refuse
    imported = {script.name for script in source.scripts() if script.imported}
    for rule in RULES:
        yield from (found for found in rule.findings(source) if found.file not in imported)
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


def _dangers(script: Script) -> list[Danger]:
    statements = [(statement.node, statement.line) for statement in script.parsed]
    return dangers(statements, transaction=script.header.get("transaction") != "no")


def _unaccepted_hazards(source: Source) -> Complaints:
    """Yield the hazards that no header accepts. One that depends on the target is no complaint."""
    for script in source.scripts("deploy"):
        found: dict[tuple[int, str], dict[str, None]] = {}
        for danger in _dangers(script):
            linted = Trait.LINTED in danger.hazard.traits and danger.hazard not in script.accepts
            if linted and not danger.doubts:
                place = danger.line, f"{danger.thing} {danger.detail}".strip()
                found.setdefault(place, {})[danger.hazard] = None
        for (line, thing), names in found.items():
            yield script.name, line, f"{', '.join(names)}: {thing}"


def _accepted_without_hazard(source: Source) -> Complaints:
    for script in source.scripts("deploy", "revert"):
        if not script.accepts:
            continue
        there = {danger.hazard for danger in _dangers(script)}
        for name in script.accepts:
            if name not in there:
                yield script.name, 1, f"accepts {name}, which no statement of it has"


def _without_header(source: Source) -> Complaints:
    wanted = {"deploy": ("title", "why"), "verify": ("title",), "revert": ("title", "why")}
    for kind, keys in wanted.items():
        for script in source.scripts(kind):
            for key in keys:
                if not script.header.get(key):
                    yield script.name, 1, f"the header has no {key}"


def _without_comment(source: Source) -> Complaints:
    for script in source.scripts("deploy"):
        commented = {_comment_target(statement.node) for statement in script.parsed}
        for statement in script.parsed:
            for name in _created_names(statement.node):
                if name not in commented:
                    yield script.name, statement.line, f"{'.'.join(name)} has no comment"


def _created_names(node: Any) -> Iterator[tuple[str, ...]]:
    """Yield the tables, as (table,), and the columns, as (table, column), that a
    statement makes.
    """
    match node:
        case ast.CreateStmt(relation=relation, tableElts=elements):
            yield (relation.relname,)
            for element in elements or ():
                if isinstance(element, ast.ColumnDef):
                    yield relation.relname, element.colname
        case ast.AlterTableStmt(relation=relation, cmds=commands):
            for command in commands:
                if command.subtype == enums.AlterTableType.AT_AddColumn:
                    yield relation.relname, command.def_.colname


def _comment_target(node: Any) -> tuple[str, ...]:
    """Return what the statement gives a comment to, named as `_created_names` does."""
    match node:
        case ast.CommentStmt(objtype=enums.ObjectType.OBJECT_TABLE, object=name, comment=text) if (
            text
        ):
            return (name[-1].sval,)
        case ast.CommentStmt(objtype=enums.ObjectType.OBJECT_COLUMN, object=name, comment=text) if (
            text
        ):
            return (name[-2].sval, name[-1].sval)
    return ()


def _without_partner(source: Source) -> Complaints:
    """Yield the files that are missing beside others of the same name.

    A file of `verify/` without a number is about the runbook as a whole and needs no partner; one
    that names other blocks in its header is theirs, too.
    """
    names: dict[str, set[str]] = {}
    for kind in KINDS:
        names[kind] = {name for name, entry in getattr(source, kind).items() if entry}
    for file in source.unusable:
        kind, name = file.removesuffix(".sql").split("/")[:2]
        if name and kind in names:  # else it is the folder that holds nothing, or is called so
            names[kind].add(name)
    names["verify"] = {name for name in names["verify"] if name[0].isdigit()} | source.proven
    imported = {Path(script.name).stem for script in source.scripts("deploy") if script.imported}
    for name in set().union(*names.values()) - imported:
        there = [f"{kind}/{name}" for kind in KINDS if name in names[kind]]
        for kind in KINDS:
            if name not in names[kind]:
                yield f"{kind}/{name}.sql", 1, f"is missing beside {' and '.join(there)}"


def _without_effect(source: Source) -> Complaints:
    raising = re.compile(
        r"\b(ASSERT\b|RAISE\b(?!\s+(NOTICE|INFO|WARNING|LOG|DEBUG)\b))", re.IGNORECASE
    )
    for script in source.scripts("verify"):
        code = ""
        for statement in script.parsed:
            if isinstance(statement.node, ast.DoStmt | ast.CreateFunctionStmt):
                code += re.sub(r"--.*", "", statement.sql) + "\n"
        asks = any(each.check and check_lines.asks(each.node) for each in script.parsed)
        if not asks and not raising.search(code):
            yield script.name, 1, "nothing in it can fail"


def _without_copy(source: Source) -> Complaints:
    for script in source.scripts("verify"):
        felt: dict[tuple[int, Thing], None] = {}
        for danger in _dangers(script):
            if Trait.FELT in danger.hazard.traits and not danger.doubts:
                felt[danger.line, danger.thing] = None
        for line, thing in felt:
            yield script.name, line, f"locks {thing}, or rows of it, until the script ends"


def _without_reason(source: Source) -> Complaints:
    for script in source.scripts():
        lines = ["", *script.text.splitlines()]
        for number, (above, line) in enumerate(itertools.pairwise(lines), start=1):
            reason = above.startswith("-- ") and "squawk-ignore" not in above
            if re.match(r"\s*-- *squawk-ignore", line) and not reason:
                yield script.name, number, "switches a rule off without a reason"


RULES = (
    Rule(
        "header",
        "A reviewer who reads the run a year later sees what a file did, and why.",
        "write it at the top: -- title: …, -- why: …",
        _without_header,
    ),
    Rule(
        "comments",
        "Whoever meets a table in the database finds out there what it is for.",
        "add COMMENT ON TABLE … or COMMENT ON COLUMN … to the same file",
        _without_comment,
    ),
    Rule(
        "hazards",
        "What loses rows, or keeps the application waiting, is nobody's oversight.",
        "change the statement, or say in the header that it is meant: -- accepts: with the names "
        "of the hazards, and the reason in -- why:",
        _unaccepted_hazards,
    ),
    Rule(
        "accepts",
        "A header that accepts more than the file does hides the next hazard.",
        "leave the name out of the header",
        _accepted_without_hazard,
    ),
    Rule(
        "partners",
        "A block that cannot be verified or taken back is not finished.",
        "give deploy/, verify/ and revert/ files, or folders of variants, of the same name",
        _without_partner,
    ),
    Rule(
        "verify-raises",
        "A statement that raises nothing, and does not say false below a check, passes.",
        "have the check SELECT a comparison, or wrap it in DO $$ … $$ that does RAISE or ASSERT",
        _without_effect,
    ),
    Rule(
        "verify-copies",
        "Others wait for what a verify script locks until all of it is over.",
        "do it to a temporary copy: CREATE TEMP TABLE … (LIKE … INCLUDING ALL)",
        _without_copy,
    ),
    Rule(
        "reasons",
        "A rule that is switched off for no reason stays off for ever.",
        "write the reason as a comment in the line above",
        _without_reason,
    ),
)
