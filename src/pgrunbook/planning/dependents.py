"""Checks whether PostgreSQL will refuse a statement because of what depends on a table or a column:
where something does, the pending blocks are run on a twin. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pglast import ast
from pglast.enums import AlterTableType

from pgrunbook.errors import Refused
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.hazards import Risk
from pgrunbook.planning.paths import Paths
from pgrunbook.planning.twin import Maker
from pgrunbook.planning.twin_run import first_failure
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.sqltext.hazards import Hazard

_CHECK = "are not kept by what depends on it"
_DROPS = (Hazard.DROPS_TABLE, Hazard.DROPS_COLUMN, Hazard.DROPS_OTHER)

_GOING_ALONG = ("index ", "constraint ")  # of the same table

_REMEDY = (
    "drop, or define anew, what depends on it in a block before this one; or, if it is to go with "
    "it, write CASCADE"
)

# dependent_objects_still_exist; feature_not_supported, as of the type of a column in a view.
# Whatever else fails on the twin may be for want of rows.
_REFUSED = ("2BP01", "0A000")


def check(
    conn: Session, make: Maker, decisions: Sequence[Decision], risks: Sequence[Risk]
) -> Iterator[CheckResult]:
    """Yield one result if something depends on what is dropped, or gets another type."""
    if not _has_drops_with_dependents(risks) and not _has_types_with_readers(conn, decisions):
        return
    try:
        with make() as twin:
            trial = first_failure(twin, search_path.of(conn), decisions)
    except Refused as exc:
        why = exc.problems[0].what if exc.problems else str(exc)
        yield CheckResult("statements", _CHECK, not_run=f"no twin: {why}")
        return
    if trial and trial.failure and trial.sqlstate in _REFUSED:
        problem = replace(trial.failure, remedy=_REMEDY)
        yield CheckResult(problem.where, _CHECK, problem)
    else:
        yield CheckResult("statements", _CHECK)


def _has_drops_with_dependents(risks: Sequence[Risk]) -> bool:
    """Whether something is dropped on which other objects depend, that do not go with it."""
    for risk in risks:
        if risk.hazard in _DROPS:
            for each in risk.dependents:
                if not each.startswith(_GOING_ALONG):
                    return True
    return False


def _has_types_with_readers(conn: Session, decisions: Sequence[Decision]) -> bool:
    """Whether something reads a column that is to get another type."""
    paths = Paths(conn)
    schemas: list[str] = []
    tables: list[str] = []
    columns: list[str] = []
    for decision in decisions:
        if not decision.pending:
            continue
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
    for number in decision.statements:
        node = decision.block.statements[number].node
        if not isinstance(node, ast.AlterTableStmt):
            continue
        for command in node.cmds:
            if command.subtype == AlterTableType.AT_AlterColumnType:
                yield node.relation, command.name
