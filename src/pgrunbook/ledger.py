"""The ledger: append-only tables in the target that say which run applied which block.

The functions that read say so and write nothing; before the first run there is no ledger, and they find nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from psycopg.types.json import Jsonb

from pgrunbook import catalog
from pgrunbook.blocks import Block
from pgrunbook.catalog import Connection
from pgrunbook.errors import Verdict
from pgrunbook.shape import Facts, Key

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """The ledger's latest row on one block."""

    block: str
    event: str
    run_id: str
    revision: int
    sql: str
    source_sha256: str
    tree_sha256: str
    variants: tuple[str, ...]
    facts: Facts
    finished_at: datetime


def exists(conn: Connection) -> bool:
    """Whether the target has a ledger. Reads only."""
    row = conn.execute("SELECT to_regclass('pgrunbook.blocks') IS NOT NULL").fetchone()
    return bool(row and row[0])


def entries(conn: Connection, runbook: str, schema: str) -> dict[str, Entry]:
    """The latest row on each block of a runbook in a schema, by the block's name. Reads only."""
    if not exists(conn):
        return {}
    found = catalog.rows(conn, "ledger_entries", runbook=runbook, schema=schema)
    return {
        row["block"]: Entry(**row | {"variants": tuple(row["variants"]), "facts": _facts(row["facts"])})
        for row in found
    }


def runs(conn: Connection, runbook: str) -> list[dict[str, Any]]:
    """The runs of a runbook, the latest first, each with its verdict or None. Reads only."""
    return catalog.rows(conn, "ledger_runs", runbook=runbook) if exists(conn) else []


def of_run(conn: Connection, run_id: str) -> list[tuple[str, str]]:
    """Block and event of each row that a run has written, in order. Reads only."""
    if not exists(conn):
        return []
    query = "SELECT block, event FROM pgrunbook.blocks WHERE run_id = %s ORDER BY id"
    return [(block, event) for block, event in conn.execute(query, [run_id])]


def row(conn: Connection, run_id: str, block: str) -> tuple[str, datetime, datetime] | None:
    """Event, start and end of a block in a run; None if it was not committed. Reads only."""
    query = "SELECT event, started_at, finished_at FROM pgrunbook.blocks WHERE run_id = %s AND block = %s"
    return conn.execute(query, [run_id, block]).fetchone()


def install(conn: Connection) -> None:
    """Create the ledger if there is none, in one transaction."""
    if exists(conn):
        return
    with conn.transaction():
        conn.execute((files("pgrunbook") / "sql" / "ledger.sql").read_bytes())
        conn.execute(
            "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (%s, %s)",
            [SCHEMA_VERSION, version("pgrunbook")],
        )


def start(
    conn: Connection, run_id: str, runbook: str, *, schema: str, mode: str, operator: str, parameters: dict[str, Any]
) -> None:
    """Write the run's row."""
    conn.execute(
        "INSERT INTO pgrunbook.runs (run_id, runbook, schema_name, mode, operator, ticket, parameters, tool_version)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [run_id, runbook, schema, mode, operator, parameters["ticket"], Jsonb(parameters), version("pgrunbook")],
    )


def record(
    conn: Connection,
    run_id: str,
    block: Block,
    *,
    event: str,
    reason: str,
    sql: str,
    facts: Facts,
    started_at: datetime,
    revision: int = 0,
) -> None:
    """Write the block's row, inside the transaction of its DDL: both commit or neither does."""
    conn.execute(
        "INSERT INTO pgrunbook.blocks (run_id, runbook, schema_name, block, revision, event, reason, sql,"
        " source_sha256, tree_sha256, sql_sha256, variants, facts, started_at)"
        " SELECT run_id, runbook, schema_name, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s"
        " FROM pgrunbook.runs WHERE run_id = %s",
        [
            block.name,
            revision,
            event,
            reason,
            sql,
            block.source_sha256,
            block.tree_sha256,
            block.sql_sha256,
            [variant for variant, _ in block.choices],
            Jsonb([[*key, value] for key, value in facts.items()]),
            started_at,
            run_id,
        ],
    )


def finish(conn: Connection, run_id: str, verdict: Verdict, reason: str) -> None:
    """Write how the run ended."""
    conn.execute(
        "INSERT INTO pgrunbook.verdicts (run_id, verdict, reason) VALUES (%s, %s, %s)", [run_id, verdict, reason]
    )


def _facts(recorded: list[list[str]]) -> Mapping[Key, str]:
    return {Key(kind, table, name): value for kind, table, name, value in recorded}
