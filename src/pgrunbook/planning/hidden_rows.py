"""Finds statements that change rows of tables whose row security may hide rows from them, as far as
their text tells. Reads only.

A block runs with row_security = off: the server raises an error instead of leaving hidden rows out.
So this finds before the run what would fail in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import psycopg
from pglast import ast

from pgrunbook.errors import Problem
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.doubts import Path
from pgrunbook.planning.paths import Paths
from pgrunbook.planning.roles import role_set
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import created_objects
from pgrunbook.sqltext.parse_tree import nodes
from pgrunbook.sqltext.search_paths import path_behind

# What to do if rows are hidden: see all of them, or leave the hidden ones out.
SEES_ALL = (
    "run as a role that has BYPASSRLS; or, if its owner does not see all of it, ALTER TABLE … NO "
    "FORCE ROW LEVEL SECURITY in a block before this one, and FORCE it again in one behind it"
)
MEANT = "if what is hidden is to stay as it is: SET LOCAL row_security = on before the statement"

_CHECK = "sees every row that it is to change"

# A statement in one of these is not executed, only defined.
_DEFINING = (ast.CreateFunctionStmt, ast.RuleStmt, ast.ViewStmt)
_CHANGING = (ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)


class _Change(NamedTuple):
    """A statement that changes rows of a table, which is in one of these schemas, and as whom."""

    statement: Statement
    schemas: Path
    table: str
    role: str


def raised(exc: psycopg.Error) -> bool:
    """Whether the server has raised the error instead of hiding rows. It has no SQLSTATE of its
    own: the name of the C function tells.
    """
    return exc.diag.source_function == "check_enable_rls"


def check(conn: Session, decisions: Sequence[Decision], role: str) -> Iterator[CheckResult]:
    """Yield a failed result for each statement from which rows may be hidden. `role` runs the
    blocks that have no role of their own. Blocks in batches are checked by `batch_keys`.
    """
    changes = list(_changes(conn, decisions, role))
    places: set[tuple[str, str, str]] = set()
    for each in changes:
        places.update((schema, each.table, each.role) for schema in each.schemas)
    if not places:
        return
    schemas, tables, names = map(list, zip(*sorted(places), strict=True))
    rows = catalog.rows(conn, "hides_rows", schemas=schemas, tables=tables, names=names)
    hides = {(row["schema"], row["table"], row["role"]): row["hides"] for row in rows}
    for each in changes:
        found = [hides.get((schema, each.table, each.role)) for schema in each.schemas]
        if next((hidden for hidden in found if hidden is not None), False):
            problem = Problem(
                f"row security may hide rows of {each.table} from {each.role}",
                where=each.statement.place(),
                expected="every row to be seen: one that is hidden would not be changed",
                remedy=f"{SEES_ALL}; {MEANT}",
            )
            yield CheckResult(problem.where, _CHECK, problem)


def _changes(conn: Session, decisions: Sequence[Decision], role: str) -> Iterator[_Change]:
    paths = Paths(conn)
    unknown: set[str] = set()  # names of what the blocks make or alter: the catalog cannot tell yet
    for decision in decisions:
        block = decision.block
        if not decision.pending or block.batching:
            continue
        meant = False
        as_whom, path = block.role or "none", block.search_path
        for statement in decision.pending_statements:
            as_whom = role_set(statement.node) or as_whom
            match statement.node:
                case ast.VariableSetStmt(name="row_security"):
                    meant = True  # the block says itself that it leaves hidden rows out
                case ast.AlterTableStmt(relation=relation):
                    unknown.add(relation.relname)
            unknown |= {each.name for each in created_objects(statement.node)}
            for changed in _changed(statement.node):
                if meant or changed.relname in unknown:
                    continue
                schemas = (changed.schemaname,) if changed.schemaname else paths.of(block, path)
                own = role if as_whom == "none" else as_whom
                yield _Change(statement, schemas, changed.relname, own)
            path = path_behind(statement.node, path)


def _changed(node: ast.Node) -> Iterator[ast.RangeVar]:
    if isinstance(node, _DEFINING):
        return
    for each in nodes(node):
        if isinstance(each, _CHANGING):
            yield each.relation
