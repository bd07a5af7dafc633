"""What a revert would take with it, rows and what later runbooks have built on; and who holds it
up. Reads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import psycopg
from pglast import ast
from pglast.enums import AlterTableType, ObjectType
from psycopg import sql
from psycopg.rows import dict_row

from pgrunbook.admit.try_check import as_it_is
from pgrunbook.errors import Problem
from pgrunbook.ledger import ledger
from pgrunbook.ledger.fold import Fold
from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres import catalog, search_path, trust
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.runbooks.facts import Fact
from pgrunbook.runbooks.scripts import Statement, statements
from pgrunbook.sqltext import mentions


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
    discard: frozenset[str],
    statement_timeout: str,
    expected: Fold,
    again: Callable[[str, str], str],
) -> list[CheckResult]:
    """Whether nothing is lost but what the blocks in `discard` may lose, no row holds a value that
    is taken back, and no later runbook stands on it. `again` gives the command that runs a runbook
    in a mode.
    """
    undone = [d for d in decisions if d.action is Action.REVERT]
    kept = [d for d in undone if not d.block.named_in(discard)]
    results = list(_known(discard, decisions))
    with conn.transaction():
        conn.execute("SELECT set_config('statement_timeout', %s, true)", [statement_timeout])
        # Rows that a policy hides even from the owner would be lost with the others: now they are
        # an error.
        conn.execute("SET LOCAL row_security = off")
        for decision in kept:
            for loss in losses(decision.block.statements):
                results.append(_empty(conn, schema, decision, loss))
        for holder, name in _holders(conn, schema, undone).items():
            results.append(_unheld(conn, holder, name))
    return [*results, *_later(conn, runbook, schema, undone, expected, again)]


def _known(discard: frozenset[str], decisions: Sequence[Decision]) -> Iterator[CheckResult]:
    names = dict.fromkeys(name for d in decisions for name in (d.block.name, d.block.entry))
    for name in sorted(discard - names.keys()):
        yield result(
            "discard",
            f"names the block {name}",
            False,
            f"no block is called {name}",
            expected=", ".join(names),
        )


def _empty(conn: Connection, schema: str, decision: Decision, loss: Loss) -> CheckResult:
    """Whether there is nothing to lose: no row; in a column nothing but NULL and its default.

    The two are compared as texts, as json, xml and others have no equality.
    """
    what = f"holds nothing that {decision.block.name} would drop"
    if strange := _strange(conn, sql.Identifier(schema, loss.table).as_string(), loss.column):
        return CheckResult(str(loss), what, strange)
    try:
        held = (search_path.first_row(conn, schema, _question(conn, schema, loss)) or (False,))[0]
    except psycopg.Error as exc:
        remedy = (
            f"{_readable(exc)}; or name the block in the parameter `discard`, if {loss} may "
            "go as it is"
        )
        return CheckResult(str(loss), what, problem_of(exc, where=str(loss), remedy=remedy))
    problem, expected = "has rows", "no row"
    if loss.column:
        problem, expected = "has values", "nothing but NULL and the default"
    return result(
        str(loss),
        what,
        not held,
        problem,
        expected=expected,
        found=f"they would be lost with the revert of {decision.block.name}",
        remedy=f"keep them elsewhere, then name the block: discard={decision.block.name}",
    )


def _strange(conn: Connection, table: str, column: str) -> Problem | None:
    """What speaks against reading the column of a table: the first function that would run with our
    rights.
    """
    (relation,) = conn.execute("SELECT to_regclass(%s)::oid", [table]).fetchone() or (None,)
    return (
        next(iter(trust.functions_called_by_reads(conn, relation, [column])), None)
        if relation
        else None
    )


def _holds(conn: Connection, question: sql.SQL) -> bool:
    """What the question is answered with. Raises psycopg.Error, which the transaction outlasts."""
    with conn.transaction():
        row = conn.execute(question).fetchone()
    return bool(row and row[0])


def _readable(exc: psycopg.Error) -> str:
    """What to do if it could not be seen what a table holds."""
    slow = isinstance(exc, psycopg.errors.QueryCanceled)
    return "raise statement_timeout" if slow else "see that this role can read it"


def _question(conn: Connection, schema: str, loss: Loss) -> sql.Composed:
    table = sql.Identifier(schema, loss.table)
    if not loss.column:
        return sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)
    rows = catalog.rows(conn, "columns", schema=schema, tables=[loss.table])
    column = next((row for row in rows if row["column"] == loss.column), {})
    generated = (column.get("default") or "").startswith("GENERATED ")
    default = "NULL" if generated else column.get("default") or "NULL"
    return sql.SQL(
        "SELECT EXISTS (SELECT FROM {} WHERE {column} IS NOT NULL AND {column}::text IS DISTINCT "
        "FROM CAST({} AS {})::text)"
    ).format(
        table,
        sql.SQL(default),
        sql.SQL(column.get("type", "text")),
        column=sql.Identifier(loss.column),
    )


class Holder(NamedTuple):
    """A column that would no longer take a value, and the operator by which values of its type are
    equal. Its names are as SQL writes them, `qualified` is the table's with its schema.
    """

    table: str
    column: str
    qualified: str
    equals: str
    value: str

    @property
    def rows(self) -> str:
        """The rows that hold the value, as a statement in the schema writes them."""
        return f"FROM {self.table} WHERE {self.column} = {sql.Literal(self.value).as_string()}"

    @property
    def question(self) -> str:
        """The same without a name that would have to be looked up."""
        return (
            f"FROM {self.qualified} WHERE {self.column} {self.equals} "
            f"{sql.Literal(self.value).as_string()}"
        )


def _holders(conn: Connection, schema: str, undone: Sequence[Decision]) -> dict[Holder, str]:
    """Of the values that are taken back, each column that may hold one, with the block that takes
    it back: the column itself, and those that share its type or its lookup table.
    """
    found: dict[Holder, str] = {}
    for decision in undone:
        block = decision.block
        if not block.admits:
            continue
        table, column, value = block.admits
        if Fact("value", table, column) not in block.facts:
            continue
        shared: dict[str, list[str]] = {"types": [], "lookups": [], "keys": []}
        for variant, variables in block.choices:
            if variant in _TYPES:
                shared["types"].append(variables[_TYPES[variant]])
            elif variant == "lookup":
                shared["lookups"].append(variables["table"])
                shared["keys"].append(variables["column"])
        rows = catalog.rows(conn, "holders", schema=schema, table=table, column=column, **shared)
        for row in rows:
            found[Holder(**row, value=value)] = block.name
    return found


# Variants that change a type, and which of their placeholders names it.
_TYPES = {"enum": "type", "domain": "domain"}


def _unheld(conn: Connection, holder: Holder, block: str) -> CheckResult:
    """Whether no row holds a value that is to be taken back."""
    where, what = (
        f"{holder.table}.{holder.column}",
        f"no row holds {holder.value!r}, which {block} takes back",
    )
    if strange := _strange(conn, holder.qualified, holder.column):
        return CheckResult(where, what, strange)
    try:
        held = _holds(conn, as_it_is(f"SELECT EXISTS (SELECT {holder.question})"))
    except psycopg.Error as exc:
        return CheckResult(
            where, what, problem_of(exc, where=where, remedy=f"{_readable(exc)}, then run again")
        )
    return result(
        where,
        what,
        not held,
        f"rows hold {holder.value!r}",
        expected=f"none, as {block} is to be reverted",
        remedy=f"change or delete these rows first: SELECT * {holder.rows}",
    )


def _later(
    conn: Connection,
    runbook: str,
    schema: str,
    undone: Sequence[Decision],
    expected: Fold,
    again: Callable[[str, str], str],
) -> Iterator[CheckResult]:
    """What a later runbook has made on these tables may stand on what is to go, and would go with
    it unnoticed.
    """
    tables = sorted({need.table for d in undone for need in d.block.needs})
    if not tables or not ledger.exists(conn):
        return
    standing: dict[str, dict[str, set[str]]] = {}
    named = {row["identity"]: row["name"] for row in _identities(conn, schema, tables)}
    for each, setters in expected.history.items():
        on = {named[name] for name in (each.identity, expected.parts.get(each)) if name in named}
        for setter in setters if on else ():
            standing.setdefault(setter.runbook, {}).setdefault(setter.block, set()).update(on)
    for row in ledger.later_changes(conn, runbook, schema, tables):
        if on := {*row["tables"]} | (_named(row["begun"]) & {*tables}):
            standing.setdefault(row["runbook"], {}).setdefault(row["block"], set()).update(on)
    for later in sorted(name for name in standing if name > runbook):
        for block, on in sorted(standing[later].items()):
            yield result(
                later,
                "is reverted already",
                False,
                "is in place, and works on the same tables",
                expected="reverted first, as it came later",
                found=f"{block} on {', '.join(sorted(on))}",
                remedy=again(later, "revert"),
            )


def _identities(conn: Connection, schema: str, tables: Sequence[str]) -> list[dict[str, str]]:
    query = """
SELECT name, format('%%I.%%I', %s::text, name) AS identity FROM unnest(%s::text[]) AS t (name)"""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [schema, [*tables]]).fetchall()


def _named(begun: str) -> set[str]:
    """The relations that this SQL names."""
    return {name for s in statements(begun) for _, name in mentions.relations(s.node)}
