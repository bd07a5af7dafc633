"""Our own rules for the SQL of a runbook, which `lint` checks beside squawk's."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pglast import ast, enums

from pgrunbook.runbooks import check_lines
from pgrunbook.runbooks.scripts import Script
from pgrunbook.runbooks.source import Source
from pgrunbook.runbooks.sql_files import KINDS
from pgrunbook.sqltext.dangers import dangers
from pgrunbook.sqltext.hazards import Danger, Thing, Trait

# The file, its line, and what is wrong there.
Complaints: TypeAlias = Iterator[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One of our own rules: why it is there, and what to do where `check` complains."""

    name: str
    why: str
    remedy: str
    check: Callable[[Source], Complaints]


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
                # RAISE in a comment raises nothing
                code += re.sub(r"--.*", "", statement.sql) + "\n"
        asks = any(each.check and check_lines.is_question(each.node) for each in script.parsed)
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
