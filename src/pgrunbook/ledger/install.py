"""The ledger's tables: how they are made, and brought up to date."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from pgrunbook.errors import Problem
from pgrunbook.ledger.versions import SCHEMA_VERSION, installed
from pgrunbook.postgres import catalog, lockers, run_locks, trust
from pgrunbook.postgres.session import Session


@cache
def sql(name: str) -> str:
    """Return the text of `sql/ledger/<name>.sql`."""
    return (files("pgrunbook") / "sql" / "ledger" / f"{name}.sql").read_text(encoding="utf-8")


def install(conn: Session) -> None:
    """Create the ledger, or bring an older one up to this version, in one transaction. Raises
    Refused. A run in another schema may do the same at the same time: one waits for the other.
    """
    if installed(conn) >= SCHEMA_VERSION:
        return
    with trust.refuse_on_error(conn), lockers.naming(conn), conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [run_locks.LEDGER])
        granted = _grants(conn)
        # the version is asked again: whoever had the lock before may have done it
        for number in range(installed(conn) + 1, SCHEMA_VERSION + 1):
            conn.execute(sql(f"{number:03}").encode())
            conn.execute(
                "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (%s, %s)",
                [number, version("pgrunbook")],
            )
        # By default privileges others may be allowed to write into tables that our role makes. Only
        # what was granted on the ledger itself before stays.
        for revoke in sorted(_grants(conn) - granted):
            conn.execute(revoke.encode())


def _grants(conn: Session) -> set[str]:
    """Return what others may do with the ledger, each as the statement that takes it back."""
    return {row["statement"] for row in catalog.rows(conn, "ledger_grants")}


def missing_columns(conn: Session, version: int) -> list[Problem]:
    """Return the columns that a ledger of this version has, and this one lacks."""
    there = {(row["table"], row["column"]) for row in catalog.rows(conn, "ledger_columns")}
    problems = []
    for table, names in _columns(version).items():
        missing = [name for name in names if (table, name) not in there]
        if not missing:
            continue
        problem = Problem(
            "is not the ledger's own table",
            where=f"pgrunbook.{table}",
            expected=f"an ordinary table with the columns of version {version}: {', '.join(names)}",
            found=f"without {', '.join(missing)}",
            remedy="bring the ledger back as it was, from a backup; or if it never was one, "
            "rename its schema",
        )
        problems.append(problem)
    return problems


@cache
def _columns(version: int) -> Mapping[str, list[str]]:
    """Return the columns of each table of the ledger in that version, as its own SQL makes them."""
    # here, because who only asks the ledger does not need the parser
    from pglast import ast, parse_sql

    made: dict[str, list[str]] = {}
    for number in range(1, version + 1):
        for raw in parse_sql(sql(f"{number:03}")):
            match raw.stmt:
                case ast.CreateStmt(relation=relation, tableElts=elements):
                    names = made[relation.relname] = []
                case ast.AlterTableStmt(relation=relation, cmds=commands):
                    names = made[relation.relname]
                    elements = [command.def_ for command in commands]
                case _:
                    continue
            names += [each.colname for each in elements if isinstance(each, ast.ColumnDef)]
    return made
