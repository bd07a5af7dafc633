"""Checks what a revert would lose: rows, and what later runbooks have built on its tables. Reads
only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import psycopg
from pglast import ast
from pglast.enums import AlterTableType, ObjectType
from psycopg import sql

from pgrunbook.admit.check_evaluator import as_it_is
from pgrunbook.errors import Problem
from pgrunbook.inventory.names import names
from pgrunbook.ledger import ledger
from pgrunbook.ledger.fold import Fold, Setter
from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.paths import Paths
from pgrunbook.postgres import catalog, search_path, trust
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.facts import Fact
from pgrunbook.runbooks.scripts import Statement, statements


class Loss(NamedTuple):
    """What a revert script drops with all that it holds: a table, or one column of it. `schema` is
    empty if the search path finds the table.
    """

    table: str
    column: str = ""
    schema: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table


def find_losses(script: Sequence[Statement]) -> list[Loss]:
    """Return the tables and columns that these statements drop, in order."""
    losses = []
    for statement in script:
        match statement.node:
            case ast.DropStmt(removeType=ObjectType.OBJECT_TABLE, objects=names):
                for each in names:
                    *schema, table = (part.sval for part in each)
                    losses.append(Loss(table, schema=schema[-1] if schema else ""))
            case ast.AlterTableStmt(relation=relation, cmds=commands):
                for command in commands:
                    if command.subtype == AlterTableType.AT_DropColumn:
                        where = relation.schemaname or ""
                        losses.append(Loss(relation.relname, command.name, where))
    return losses


def check(
    conn: Session,
    runbook: str,
    schema: str,
    decisions: Sequence[Decision],
    discard: frozenset[str],
    statement_timeout: str,
    expected: Fold,
    again: Callable[[str, str, str], str],
) -> list[CheckResult]:
    """Check that nothing is lost but what the blocks in `discard` may lose, that no row holds a
    value that is taken back, and that no later runbook is in place that works on the same tables.

    - `expected` is what the ledger expects.
    - `again` returns the command that runs a runbook in a schema, in a mode.
    """
    undone = [each for each in decisions if each.action is Action.REVERT]
    paths = Paths(conn)
    path_of = {each.block.name: paths.of(each.block) for each in undone}
    held: list[CheckResult] = []
    unused: list[CheckResult] = []
    to_name = dict.fromkeys(sorted(discard))  # that one run would have to discard
    with conn.transaction():
        conn.execute("SELECT set_config('statement_timeout', %s, true)", [statement_timeout])
        # A policy may hide rows even from the owner, and DROP would take them, too. With this
        # setting, a query from which rows would be hidden is an error.
        # https://www.postgresql.org/docs/current/ddl-rowsecurity.html
        conn.execute("SET LOCAL row_security = off")
        for decision in undone:
            if not decision.block.named_in(discard):
                for loss in find_losses(decision.block.statements):
                    path = [loss.schema] if loss.schema else path_of[decision.block.name]
                    held.append(_check_empty(conn, _place(conn, loss, path), decision, loss))
                    if held[-1].problem:
                        to_name[decision.block.name] = None
        for holder, name in _holders(conn, schema, undone).items():
            unused.append(_check_unused(conn, holder, name))
    held = [_or_discard(each, to_name) for each in held]
    later = _later_runbooks(conn, runbook, schema, undone, expected, again)
    return [*held, *unused, *later]


def _or_discard(found: CheckResult, blocks: Iterable[str]) -> CheckResult:
    """Return the result with the remedy that discards what all these blocks hold."""
    if not found.problem:
        return found
    remedy = f"{found.problem.remedy}; or, if it may go: -p discard {','.join(blocks)}"
    return replace(found, problem=replace(found.problem, remedy=remedy))


def _place(conn: Session, loss: Loss, path: Sequence[str]) -> str:
    """Return the schema of the table that a revert script means: the first that has it, or else the
    first of all.
    """
    for schema in path if len(path) > 1 else ():
        table = sql.Identifier(schema, loss.table).as_string()
        found = conn.execute("SELECT to_regclass(%s)::oid", [table]).fetchone()
        if found and found[0]:
            return schema
    return path[0]


def _check_empty(conn: Session, schema: str, decision: Decision, loss: Loss) -> CheckResult:
    """Check that there is nothing to lose: no row; in a column nothing but NULL and its default."""
    what = f"holds nothing that {decision.block.name} would drop"
    table = sql.Identifier(schema, loss.table).as_string()
    untrusted = _untrusted_function(conn, table, loss.column)
    if untrusted:
        return CheckResult(str(loss), what, untrusted)
    try:
        row = search_path.first_row(conn, schema, _has_something(conn, schema, loss))
    except psycopg.Error as exc:
        problem = problem_of(exc, where=str(loss), remedy=_remedy(exc))
        return CheckResult(str(loss), what, problem)
    held = bool(row and row[0])
    kind, expected = "has rows", "no row"
    if loss.column:
        kind, expected = "has values", "nothing but NULL and the default"
    return result(
        str(loss),
        what,
        not held,
        kind,
        expected=expected,
        found=f"they would be lost with the revert of {decision.block.name}",
        remedy="keep them elsewhere",
    )


def _untrusted_function(conn: Session, table: str, column: str) -> Problem | None:
    """Return a problem if a function of a role that is not trusted would run with our rights when
    the column of a table is read: in an index, a policy or the column's default.
    """
    (relation,) = conn.execute("SELECT to_regclass(%s)::oid", [table]).fetchone() or (None,)
    if not relation:
        return None
    problems = trust.functions_called_by_reads(conn, relation, [column], default=True)
    return problems[0] if problems else None


def _remedy(exc: psycopg.Error) -> str:
    """Return what to do about an error that kept us from reading a table."""
    if isinstance(exc, psycopg.errors.QueryCanceled):
        return "raise statement_timeout"
    return "see that this role can read it"


def _has_something(conn: Session, schema: str, loss: Loss) -> sql.Composed:
    """Return the query that says whether something would be lost."""
    table = sql.Identifier(schema, loss.table)
    if not loss.column:
        return sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)
    column: Mapping[str, Any] = {}
    asked = {"schema": schema, "tables": [loss.table], "printed_for": schema}
    for row in catalog.rows(conn, "columns", **asked):
        if row["column"] == loss.column:
            column = row
    default = column.get("default") or "NULL"
    if default.startswith("GENERATED "):
        default = "NULL"
    # Compared as texts, as json, xml and others have no equality.
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
    """A column that will not accept a value any more. Names are as SQL writes them; `qualified` is
    the table with its schema, `equals` the operator of the column's type, with its schema, too.
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
        """The same with all names qualified: nobody's own operator is called for `=`."""
        return (
            f"FROM {self.qualified} WHERE {self.column} {self.equals} "
            f"{sql.Literal(self.value).as_string()}"
        )


def _holders(conn: Session, schema: str, undone: Sequence[Decision]) -> dict[Holder, str]:
    """Return the columns that may hold a value which is taken back, each with the block that does
    so: the column itself, and those that share its type or its lookup table.
    """
    holders: dict[Holder, str] = {}
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
            holders[Holder(**row, value=value)] = block.name
    return holders


# Variants that change a type, and which of their placeholders names it.
_TYPES = {"enum": "type", "domain": "domain"}


def _check_unused(conn: Session, holder: Holder, block: str) -> CheckResult:
    """Check that no row holds a value that is to be taken back."""
    where = f"{holder.table}.{holder.column}"
    what = f"no row holds {holder.value!r}, which {block} takes back"
    untrusted = _untrusted_function(conn, holder.qualified, holder.column)
    if untrusted:
        return CheckResult(where, what, untrusted)
    try:
        # A savepoint: the checks behind this one still need the transaction.
        with conn.transaction():
            query = as_it_is(f"SELECT EXISTS (SELECT {holder.question})")
            row = conn.execute(query).fetchone()
    except psycopg.Error as exc:
        remedy = f"{_remedy(exc)}, then run again"
        return CheckResult(where, what, problem_of(exc, where=where, remedy=remedy))
    return result(
        where,
        what,
        not (row and row[0]),
        f"rows hold {holder.value!r}",
        expected=f"none, as {block} is to be reverted",
        remedy=f"change or delete these rows first: SELECT * {holder.rows}",
    )


def _later_runbooks(
    conn: Session,
    runbook: str,
    schema: str,
    undone: Sequence[Decision],
    expected: Fold,
    again: Callable[[str, str, str], str],
) -> Iterator[CheckResult]:
    """Yield a problem for each later runbook that is in place and works on the same tables: what it
    has made may depend on what is reverted, and would go unnoticed with it.
    """
    tables: set[str] = set()
    for decision in undone:
        tables |= {need.table for need in decision.block.needs}
    if not tables or not ledger.exists(conn):
        return
    # by runbook, schema of its run, and block: the tables that it works on
    works_on: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    setters = chain.from_iterable(expected.history.values())
    first = min((each.at for each in setters if each.is_of(runbook)), default=None)
    path = search_path.default(conn)
    named: dict[tuple[str, ...], str] = {}
    for needed in tables:
        named[_place(conn, Loss(needed), path), needed] = needed
    for each, those in expected.history.items():
        # each object itself, and what it is a part of: an index counts for its table
        for identity in (each.identity, expected.parts.get(each)):
            table = named.get(names(identity)) if identity else None
            if table is None:
                continue
            for setter in those:
                if _is_later(setter, runbook, first):
                    works_on[setter.runbook, setter.schema or schema, setter.block].add(table)
    # The effect of a block that was begun is not known: its statements name the tables.
    for row in ledger.later_changes(conn, runbook, schema, sorted(tables)):
        on = {*row["tables"]}
        for statement in statements(row["begun"]):
            on |= {name for _, name in statement.relations if name in tables}
        if on:
            works_on[row["runbook"], schema, row["block"]] |= on
    for (later, of, block), on in sorted(works_on.items()):
        yield result(
            later if of == schema else f"{later} in schema {of}",
            "is reverted already",
            False,
            "is in place, and works on the same tables",
            expected="reverted first, as it came later",
            found=f"{block} on {', '.join(sorted(on))}",
            remedy=again(later, of, "revert"),
        )


def _is_later(setter: Setter, runbook: str, first: datetime | None) -> bool:
    """Whether a block is of a later runbook. Numbers order the runbooks of one schema; a block in
    another schema is later if it came after the first block of the runbook.
    """
    if not setter.schema:
        return setter.runbook > runbook
    return first is not None and first < setter.at
