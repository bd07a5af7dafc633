"""What a revert would take with it: rows, and what later runbooks have built on. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import psycopg
from pglast import ast
from pglast.enums import AlterTableType, ObjectType
from psycopg import sql

from pgrunbook import catalog, ledger
from pgrunbook.catalog import Connection
from pgrunbook.checks import CheckResult, result
from pgrunbook.connection import problem_of
from pgrunbook.decisions import Action, Decision
from pgrunbook.scripts import Statement
from pgrunbook.shape import Facts, Key


class Loss(NamedTuple):
    """What a revert script drops with all that it holds: a table, or one column of it."""

    table: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table


def losses(script: Sequence[Statement]) -> list[Loss]:
    """The tables and columns that these statements drop, in order."""
    return [loss for statement in script for loss in _losses(statement.node)]


def _losses(node: ast.Node) -> Iterator[Loss]:
    match node:
        case ast.DropStmt(removeType=ObjectType.OBJECT_TABLE, objects=names):
            yield from (Loss(name[-1].sval) for name in names)
        case ast.AlterTableStmt(relation=relation, cmds=commands):
            dropped = (c.name for c in commands if c.subtype == AlterTableType.AT_DropColumn)
            yield from (Loss(relation.relname, name) for name in dropped)


def check(
    conn: Connection,
    runbook: str,
    schema: str,
    decisions: Sequence[Decision],
    found: Facts,
    discard: frozenset[str],
    statement_timeout: str,
) -> list[CheckResult]:
    """Whether nothing is lost but what the blocks in `discard` may lose, and no later runbook stands on it."""
    undone = [d for d in decisions if d.action is Action.REVERT]
    kept = [d for d in undone if not d.block.named_in(discard)]
    results = list(_known(discard, decisions))
    with conn.transaction():
        conn.execute("SELECT set_config('statement_timeout', %s, true)", [statement_timeout])
        # Rows that a policy hides even from the owner would be lost with the others: now they are an error.
        conn.execute("SET LOCAL row_security = off")
        results += [_empty(conn, d, loss, found) for d in kept for loss in losses(d.block.statements)]
    return [*results, *_later(conn, runbook, schema, undone)]


def _known(discard: frozenset[str], decisions: Sequence[Decision]) -> Iterator[CheckResult]:
    names = dict.fromkeys(name for d in decisions for name in (d.block.name, d.block.entry))
    for name in sorted(discard - names.keys()):
        yield result(
            "discard", f"names the block {name}", False, f"no block is called {name}", expected=", ".join(names)
        )


def _empty(conn: Connection, decision: Decision, loss: Loss, found: Facts) -> CheckResult:
    """Whether there is nothing to lose: no row; in a column nothing but NULL and its default.

    The two are compared as texts, as json, xml and others have no equality.
    """
    what = f"holds nothing that {decision.block.name} would drop"
    try:
        with conn.transaction():
            held = conn.execute(_question(loss, found)).fetchone()
    except psycopg.Error as exc:
        slow = isinstance(exc, psycopg.errors.QueryCanceled)
        looked = "raise statement_timeout" if slow else "see that this role can read it"
        remedy = f"{looked}; or name the block in the parameter `discard`, if {loss} may go as it is"
        return CheckResult(str(loss), what, problem_of(exc, where=str(loss), remedy=remedy))
    return result(
        str(loss),
        what,
        not (held and held[0]),
        "has rows" if not loss.column else "has values",
        expected="no row" if not loss.column else "nothing but NULL and the default",
        found=f"they would be lost with the revert of {decision.block.name}",
        remedy=f"keep them elsewhere, then name the block: discard={decision.block.name}",
    )


def _question(loss: Loss, found: Facts) -> sql.Composed:
    table = sql.Identifier(loss.table)
    if not loss.column:
        return sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)
    column = sql.Identifier(loss.column)
    default = sql.SQL(found.get(Key("default", loss.table, loss.column), "NULL"))
    type_ = sql.SQL(found.get(Key("column", loss.table, loss.column), "text").partition(" COLLATE ")[0])
    return sql.SQL(
        "SELECT EXISTS (SELECT FROM {} WHERE {} IS NOT NULL AND {}::text IS DISTINCT FROM CAST({} AS {})::text)"
    ).format(table, column, column, default, type_)


def _later(conn: Connection, runbook: str, schema: str, undone: Sequence[Decision]) -> Iterator[CheckResult]:
    """What a later runbook has made on these tables may stand on what is to go, and would go with it unnoticed."""
    tables = sorted({need.table for d in undone for need in d.block.needs})
    if not tables or not ledger.exists(conn):
        return
    for row in catalog.rows(conn, "ledger_later", runbook=runbook, schema=schema, tables=tables):
        yield result(
            row["runbook"],
            "is reverted already",
            False,
            "is in place, and works on the same tables",
            expected="reverted first, as it came later",
            found=f"{row['block']} on {', '.join(row['tables'])}",
            remedy=f"pgrunbook run {row['runbook'].split('_')[0]} --mode revert",
        )
