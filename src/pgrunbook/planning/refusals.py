"""Checks whether PostgreSQL will refuse a statement whatever rows there are: the pending blocks are
run on a twin, which also shows what each of them changes. Reads only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import AlterTableType

from pgrunbook.errors import Failed, Refused
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.hazards import Risk
from pgrunbook.planning.paths import Paths
from pgrunbook.planning.roles import role_set
from pgrunbook.planning.timeline import TwinStep
from pgrunbook.planning.twin import Maker
from pgrunbook.planning.twin_failure import TwinFailure, causes
from pgrunbook.planning.twin_run import try_pending
from pgrunbook.planning.twin_statements import is_of_the_cluster
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.records.words import counted
from pgrunbook.sqltext.hazards import Hazard

# Set for the cells of a plan that is one of many: a twin for each would take hours.
ONE_OF_MANY = "PGRUNBOOK_ONE_OF_MANY"

_DROPS = (Hazard.DROPS_TABLE, Hazard.DROPS_COLUMN, Hazard.DROPS_OTHER)
_GOING_ALONG = ("index ", "constraint ")  # of the same table

_CHECK = "are not refused, whatever rows there are"
_MOST_RELATIONS = 5_000  # with indexes and the system's own; their copy takes some seconds

# dependent_objects_still_exist; feature_not_supported, which is said of much else, too: of what
# reads a column that gets another type, its detail names that.
_STILL_EXIST, _NOT_SUPPORTED = "2BP01", "0A000"
_READER = re.compile(r"; .+ depends on column |uses its row type", re.DOTALL)
_BEFORE = "drop, or define anew, what depends on it in a block before this one"
_CASCADE = f"{_BEFORE}; or, if it is to go with it, write CASCADE"

# The classes of what does not hang on rows: what depends on an object, what is not supported, the
# name of a schema, syntax and access rules; and what no transaction can do. Whatever else fails on
# the twin may be for want of rows:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_IN_TRANSACTION = "25001"
_CLASSES = ("2B", "0A", "3F", "42", _IN_TRANSACTION)
# The twin's roles are no superusers: see `may_more`.
_INSUFFICIENT_PRIVILEGE = "42501"
# What a role may do besides, by a policy, and of what the copy's owner has there.
_OF_THE_COPY = re.compile(r"row-level security|extension|parameter|language")
# A tablespace, a role or a collation may be the target's alone; what belongs to a table is copied.
_UNDEFINED_OBJECT = "42704"
_COPIED = re.compile(r"(constraint|trigger|policy|rule|type|operator class|data type|there is no) ")
_MISSING = re.compile(r'[a-z -]+ ".+" .*does not exist$')
# What a type does not take: a number out of range, a date that there is not, a text; and what an
# option does not.
_OF_CONSTANTS = ("22003", "22007", "22008", "22P02", "22023")
# its files, its locale, its settings, what it has loaded; where a sequence is
_AS_THE_SERVER_IS = re.compile(
    r"time zone|\bmoney\b|locale|value for parameter|security label|label provider|RESTART value"
)
# What no copy has: the ledger; an extension that the twin's server lacks, and what that was built
# without, as ICU or lz4.
_NEVER_THERE = re.compile(r'"pgrunbook[".]|is not available|in this build|to be built with')

_REMEDIES = {
    _INSUFFICIENT_PRIVILEGE: "have it granted, or run as a role that may, then plan again",
    # the header `transaction: no` is for what can be done in no transaction of any table
    _IN_TRANSACTION: "name each partition in its place, then plan again",
}

_Numbers = list[dict[str, Any]]  # rows of the catalog query `copied`


class Tried(NamedTuple):
    """What a trial has shown: the results of the check, and what the blocks change."""

    results: Sequence[CheckResult] = ()
    steps: Sequence[TwinStep] = ()


def check(
    conn: Session,
    make: Maker,
    decisions: Sequence[Decision],
    risks: Sequence[Risk],
    *,
    planning: bool,
) -> Tried:
    """Try what is pending, if something depends on what is dropped, or gets another type; where a
    run only plans (`planning`), if anything is pending.
    """
    pending = [each for each in decisions if each.pending]
    depended_on = _has_drops_with_dependents(risks) or _has_types_with_readers(conn, pending)
    if not depended_on and not (planning and pending and ONE_OF_MANY not in os.environ):
        return Tried()
    copied = catalog.rows(conn, "copied")
    why_not = "" if depended_on else _why_not_tried(copied, pending)
    if why_not:
        return Tried([CheckResult("statements", _CHECK, not_run=why_not)])
    try:
        with make(may_grant=not planning) as twin:
            believed = planning and _is_whole(twin, copied)
            failures, steps = try_pending(twin, search_path.of(conn), pending)
    except (Refused, Failed) as exc:
        why = exc.problems[0].what if exc.problems else str(exc)
        return Tried([CheckResult("statements", _CHECK, not_run=f"no twin: {why}")])
    if not failures:
        return Tried([_passed(pending, planning=planning)], steps)
    results = []
    for each in causes(failures):
        sure = believed and not _has_other_roles(each, pending) and _is_so_here(conn, each, pending)
        results.append(_result_of(each, depended_on=depended_on, believed=sure))
        if not results[-1].problem:
            break  # of what fails behind it no more can be said
    return Tried(results, steps)


def _why_not_tried(copied: _Numbers, pending: Sequence[Decision]) -> str:
    """Return why no twin is asked; empty if one is."""
    relations = sum(row["number"] for row in copied if row["what"].startswith("relation "))
    if relations > _MOST_RELATIONS:
        return f"a copy of {relations:,} relations takes long: --mode rehearse makes one"
    for decision in pending:
        for statement in decision.pending_statements:
            if isinstance(statement.node, ast.CreateExtensionStmt):
                return "the twin's server may lack the extension that is made"
    return ""


def _is_whole(twin: Twin, copied: _Numbers) -> bool:
    """Whether the twin has what the target has, as far as their numbers tell."""
    if twin.missing or twin.warnings:
        return False
    with closing(twin.owner_session()) as there:
        there.execute(f"SET search_path = {search_path.OURS}".encode())
        return catalog.rows(there, "copied") == copied


def _has_other_roles(failure: TwinFailure, pending: Sequence[Decision]) -> bool:
    """Whether statements of its block run as another role than the run's. A block before may have
    let it do more, or see more schemas: what it does of roles is left out on the twin.
    """
    for decision in pending:
        block = decision.block
        if block.name == failure.block:
            return bool(block.role) or any(role_set(each.node) for each in block.statements)
    return False


def _passed(pending: Sequence[Decision], *, planning: bool) -> CheckResult:
    return CheckResult("statements", _CHECK, not_run=_left_out(pending) if planning else "")


def _is_so_here(conn: Session, failure: TwinFailure, pending: Sequence[Decision]) -> bool:
    """Whether the target refuses the statement for the same reason, as far as that is what the role
    may do, or a name that it does not have.
    """
    found = failure.problem.found
    if failure.sqlstate == _INSUFFICIENT_PRIVILEGE:
        elsewhere = _OF_THE_COPY.search(found) or catalog.rows(conn, "may_more")[0]["may"]
    elif failure.sqlstate == _UNDEFINED_OBJECT and not _COPIED.match(found):
        elsewhere = catalog.rows(conn, "has_that_name", said=found)[0]["there"]
    else:
        return True
    return not (elsewhere or _left_out(pending))


def _left_out(pending: Sequence[Decision]) -> str:
    """Return the first statement that is about the cluster: that a copy does not have."""
    for decision in pending:
        for statement in decision.pending_statements:
            if is_of_the_cluster(statement.node):
                first = statement.sql.splitlines()[0]
                return f"{statement.place()} is about more than the database: {first}"
    return ""


def _result_of(failure: TwinFailure, *, depended_on: bool, believed: bool) -> CheckResult:
    """Return what the check says of a failure.

    - `depended_on`: something depends on what is dropped, or gets another type.
    - `believed`: the twin lacks nothing that the target has, and the run has changed nothing if it
      is refused.
    """
    problem = failure.problem
    remedy = ""
    if believed and not failure.in_doubt and _is_whatever_rows(failure):
        remedy = _REMEDIES.get(failure.sqlstate, "correct the SQL, then plan again")
    if depended_on and failure.sqlstate == _STILL_EXIST:
        remedy = _CASCADE
    elif depended_on and failure.sqlstate == _NOT_SUPPORTED and _READER.search(problem.found):
        remedy = _BEFORE
    if not remedy or _NEVER_THERE.search(problem.found):
        why = f"{problem.where} fails on a copy without rows: {problem.found}"
        return CheckResult("statements", _CHECK, not_run=why)
    if failure.behind:
        number = counted(failure.behind, "statement")
        remedy += f"; {number} behind it, of what it makes, drops or renames, failed without it"
    return CheckResult(problem.where, _CHECK, replace(problem, remedy=remedy))


def _is_whatever_rows(failure: TwinFailure) -> bool:
    found = failure.problem.found
    if failure.sqlstate == _UNDEFINED_OBJECT:
        return bool(_COPIED.match(found) or _MISSING.match(found))
    if failure.sqlstate in _OF_CONSTANTS:
        return failure.of_text and not _AS_THE_SERVER_IS.search(found)
    return failure.sqlstate.startswith(_CLASSES)


def _has_drops_with_dependents(risks: Sequence[Risk]) -> bool:
    """Whether something is dropped on which other objects depend, that do not go with it."""
    for risk in risks:
        if risk.hazard in _DROPS:
            for each in risk.dependents:
                if not each.startswith(_GOING_ALONG):
                    return True
    return False


def _has_types_with_readers(conn: Session, pending: Sequence[Decision]) -> bool:
    """Whether something reads a column that is to get another type."""
    paths = Paths(conn)
    schemas: list[str] = []
    tables: list[str] = []
    columns: list[str] = []
    for decision in pending:
        for table, column in _retyped_columns(decision):
            path = [table.schemaname] if table.schemaname else paths.of(decision.block)
            for schema in path:
                schemas.append(schema)
                tables.append(table.relname)
                columns.append(column)
    return bool(columns) and bool(
        catalog.rows(conn, "read_elsewhere", schemas=schemas, tables=tables, columns=columns)
    )


def _retyped_columns(decision: Decision) -> Iterator[tuple[ast.RangeVar, str]]:
    for statement in decision.pending_statements:
        node = statement.node
        if not isinstance(node, ast.AlterTableStmt):
            continue
        for command in node.cmds:
            if command.subtype == AlterTableType.AT_AlterColumnType:
                yield node.relation, command.name
