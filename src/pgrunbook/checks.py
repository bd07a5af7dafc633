"""Preflight and verification: what must hold before a run, and what must hold after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg

from pgrunbook import catalog
from pgrunbook.apply import Timeouts
from pgrunbook.catalog import Connection
from pgrunbook.connection import problem_of
from pgrunbook.decisions import Action, Decision
from pgrunbook.errors import Problem, RunbookError
from pgrunbook.scripts import Statement
from pgrunbook.shape import Facts, Key, Need
from pgrunbook.targets import Identity

OLDEST_SERVER = 150000  # server_version_num of the oldest major version that the tests run on


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check came out: it passed unless there is a problem; `not_run` says why it could not be tried."""

    where: str
    check: str
    problem: Problem | None = None
    not_run: str = ""

    @property
    def result(self) -> str:
        """`ok`, `FAILED` or `not run`."""
        return "FAILED" if self.problem else "not run" if self.not_run else "ok"


def frame(results: Sequence[CheckResult]) -> pd.DataFrame:
    """One row a check: index `where`; columns `check`, `result`, `found`, all str."""
    data = {
        "where": [r.where for r in results],
        "check": [r.check for r in results],
        "result": [r.result for r in results],
        "found": [_found(r) for r in results],
    }
    return pd.DataFrame(data, dtype="str").set_index("where")


def _found(result: CheckResult) -> str:
    if result.problem:
        return result.problem.found
    return result.not_run


def require(results: Iterable[CheckResult], error: type[RunbookError], message: str) -> None:
    """Raise the error with every problem at once, if there is any."""
    if problems := [r.problem for r in results if r.problem]:
        raise error(message, problems=problems)


def preflight(
    conn: Connection, schema: str, identity: Identity, decisions: Sequence[Decision], found: Facts
) -> list[CheckResult]:
    """Everything that the pending blocks need of the target, one result each. Reads only."""
    privileges = catalog.rows(conn, "privileges", schema=schema)[0]
    pending = [d for d in decisions if d.pending]
    writes = [d for d in decisions if d.action is not Action.SKIP]
    results = list(_server(identity, privileges))
    results += _schema(schema, privileges, creates=bool(pending))
    if writes:
        results += [_ledger(privileges, identity), _temporary(privileges, identity)]
    results += _needs(conn, schema, decisions, found)
    results += [result for decision in decisions for result in _decided(decision)]
    return results


def schema(conn: Connection, name: str) -> list[CheckResult]:
    """Whether the schema is there and may be used. Reads only."""
    return list(_schema(name, catalog.rows(conn, "privileges", schema=name)[0], creates=False))


def _server(identity: Identity, privileges: Mapping[str, Any]) -> Iterator[CheckResult]:
    where = "server"
    yield _result(
        where,
        "is a primary",
        identity.recovery == "primary",
        expected="a primary",
        found="a standby, in recovery",
        remedy="connect to the primary",
    )
    yield _result(
        where,
        "takes writes",
        not identity.read_only,
        expected="default_transaction_read_only = off",
        found="on, set for the server, the database or the role",
        remedy="connect with a role, or to a database, that may write",
    )
    yield _result(
        where,
        "has a tested version",
        privileges["server_version_num"] >= OLDEST_SERVER,
        expected="PostgreSQL 15 or later",
        found=identity.server_version,
        remedy="upgrade the server",
    )


def _schema(schema: str, privileges: Mapping[str, Any], *, creates: bool) -> Iterator[CheckResult]:
    where = f"schema {schema}"
    exists = privileges["schema_exists"]
    yield _result(
        where,
        "exists, and we may use it",
        exists and privileges["schema_usage"],
        expected="a schema that this role may use",
        found="no USAGE privilege" if exists else "no schema of that name",
        remedy=f'GRANT USAGE ON SCHEMA "{schema}" …' if exists else "correct the parameter `schema`",
    )
    if creates and exists:
        yield _result(
            where,
            "lets us create objects",
            privileges["schema_create"],
            expected="CREATE privilege",
            found="none",
            remedy=f'GRANT CREATE ON SCHEMA "{schema}" …',
        )


def _ledger(privileges: Mapping[str, Any], identity: Identity) -> CheckResult:
    if privileges["ledger_exists"]:
        return _result(
            "ledger",
            "can be written",
            privileges["ledger_writable"],
            expected="USAGE on schema pgrunbook; SELECT and INSERT on its tables",
            found=f"role {identity.role} lacks one of them",
            remedy="run as the role that made the ledger, or let it grant them",
        )
    return _result(
        "ledger",
        "can be created",
        privileges["database_create"],
        expected=f"CREATE privilege on database {identity.database}, to make the schema pgrunbook",
        found="none",
        remedy=f'GRANT CREATE ON DATABASE "{identity.database}" …',
    )


def _temporary(privileges: Mapping[str, Any], identity: Identity) -> CheckResult:
    return _result(
        "verification",
        "may probe temporary copies",
        privileges["database_temporary"],
        expected=f"TEMPORARY privilege on database {identity.database}",
        found="none",
        remedy=f'GRANT TEMPORARY ON DATABASE "{identity.database}" …',
    )


def _needs(conn: Connection, schema: str, decisions: Sequence[Decision], found: Facts) -> Iterator[CheckResult]:
    """Tables and columns that must be there, each once, in the order of the blocks."""
    made = {key.table for d in decisions for key in d.block.facts if key.kind == "table"}
    needed = {n: d.block.name for d in reversed(decisions) if d.pending for n in d.block.needs if n.table not in made}
    names = sorted({need.table for need in needed})
    relations = {r["name"]: r for r in catalog.rows(conn, "relations", schema=schema, names=names)}
    tables = dict.fromkeys((n.table, n.use) for n in sorted(needed, key=lambda n: n.table))
    for table, use in tables:
        yield _table(table, use, relations.get(table))
    for need in sorted(needed):
        if need.column and relations.get(need.table, {}).get("kind") in ("table", "partitioned table"):
            yield _column(need, found)


_MAY = {
    "alter": ("is a table of ours", "owned", "owned by this role, or by one that it is a member of", "run as {owner}"),
    "reference": (
        "is a table that we may reference",
        "referable",
        "REFERENCES privilege",
        "GRANT REFERENCES ON … (its owner is {owner})",
    ),
}


def _table(table: str, use: str, relation: Mapping[str, Any] | None) -> CheckResult:
    check, may, expected, remedy = _MAY[use]
    if relation is None:
        return _result(
            table,
            check,
            False,
            what=f"the table {table} is missing",
            expected="a table",
            found="nothing of that name",
            remedy="create it first, or correct the parameter `schema`",
        )
    if relation["kind"] not in ("table", "partitioned table"):
        return _result(
            table,
            check,
            False,
            what=f"{table} is not a table",
            expected="a table",
            found=f"a {relation['kind']}",
            remedy="run against the schema that holds the table itself",
        )
    return _result(
        table,
        check,
        relation[may],
        expected=expected,
        found=f"owned by {relation['owner']}",
        remedy=remedy.format(owner=relation["owner"]),
    )


def _column(need: Need, found: Facts) -> CheckResult:
    there = found.get(Key("column", need.table, need.column))
    expected = need.type or "a column"
    return _result(
        f"{need.table}.{need.column}",
        f"is there{f', {need.type}' if need.type else ''}",
        there is not None and need.type in ("", there),
        what=f"the column is {'missing' if there is None else 'of another type'}",
        expected=expected,
        found=there or "no such column",
        remedy="bring the table to the expected shape first",
    )


def _decided(decision: Decision) -> list[CheckResult]:
    name = decision.block.name
    if decision.problems:
        return [CheckResult(name, problem.what, problem) for problem in decision.problems]
    return [CheckResult(name, f"can be decided: {decision.action}")]


def _result(where: str, check: str, passed: bool, *, what: str = "", **details: str) -> CheckResult:
    problem = None if passed else Problem(what or f"does not hold: {check}", where=where, **details)
    return CheckResult(where, check, problem)


def finished(decision: Decision) -> CheckResult:
    """Whether nothing is left to do with a block: it is in the ledger, and the catalog still agrees."""
    where = decision.block.name
    problem = decision.problems[0] if decision.problems else None
    if decision.action is not Action.SKIP and not problem:
        expected = "applied or adopted by a run"
        problem = Problem("is not in the ledger", where=where, expected=expected, found=decision.reason)
    return CheckResult(where, "is in the ledger, and the catalog agrees", problem)


def expected_columns(found: pd.DataFrame, tables: Sequence[str], expected: Mapping[str, str]) -> pd.DataFrame:
    """Each table with each expected column with its type; `found` as `Snapshot.columns`.

    Index `table`, `column`; columns `present`, `type`, `nullable`, `default`, `as_expected`, all str.
    """
    wanted = pd.MultiIndex.from_product([tables, expected], names=["table", "column"])
    there = found.reindex(wanted)
    return pd.DataFrame(
        {
            "present": [_yes(key in found.index) for key in wanted],
            "type": there["type"],
            "nullable": [{True: "yes", False: "no"}.get(value, "") for value in there["nullable"]],
            "default": there["default"],
            "as_expected": [_yes(t == expected[key[1]]) for key, t in zip(wanted, there["type"], strict=True)],
        },
        index=wanted,
    ).fillna("")


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def verify(conn: Connection, name: str, statements: Sequence[Statement], timeouts: Timeouts) -> list[CheckResult]:
    """Run a verify script in a transaction that is rolled back; one result for each `-- check:` statement.

    A check holds if its statement raises nothing. Each runs in a savepoint, so that one that fails does not
    hide the next; if a statement without a check fails, the checks after it are not run.
    """
    results: list[CheckResult] = []
    with conn.transaction(force_rollback=True):
        conn.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            [timeouts.lock_timeout, timeouts.statement_timeout],
        )
        for statement in statements:
            problem = _try(conn, name, statement)
            if statement.check:
                results.append(CheckResult(name, statement.check, problem))
            elif problem:
                results.append(CheckResult(name, f"set-up: {statement.sql.splitlines()[0]}", problem))
                break
    return results


def _try(conn: Connection, name: str, statement: Statement) -> Problem | None:
    try:
        with conn.transaction():
            conn.execute(statement.sql.encode())
    except psycopg.Error as exc:
        problem = problem_of(exc, where=f"verify {name}, line {statement.line}")
        return Problem(problem.what.removesuffix(" (SQLSTATE P0001)"), problem.where, found=problem.found)
    return None
