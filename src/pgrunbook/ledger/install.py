"""The ledger's tables: how they are made, and brought up to date."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files

from pgrunbook.ledger.ledger import installed
from pgrunbook.postgres import catalog, lockers, run_locks, trust
from pgrunbook.postgres.catalog import Connection

SCHEMA_VERSION = 8


@cache
def sql(name: str) -> str:
    """Return the text of `sql/ledger/<name>.sql`."""
    return (files("pgrunbook") / "sql" / "ledger" / f"{name}.sql").read_text(encoding="utf-8")


def install(conn: Connection) -> None:
    """Create the ledger, or bring an older one up to this version, in one transaction; or raise
    Refused. A run in another schema may be about to do the same: one waits for the other.
    """
    if installed(conn) >= SCHEMA_VERSION:
        return
    with trust.refusing(conn), lockers.naming(conn), conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [run_locks.LEDGER])
        granted = _grants(conn)
        # asked again: whoever had the lock may have done it
        for number in range(installed(conn) + 1, SCHEMA_VERSION + 1):
            conn.execute(sql(f"{number:03}").encode())
            conn.execute(
                "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (%s, %s)",
                [number, version("pgrunbook")],
            )
        # Default privileges may let others write what our role makes. Who was to, was granted it.
        for revoke in sorted(_grants(conn) - granted):
            conn.execute(revoke.encode())


def _grants(conn: Connection) -> set[str]:
    """Return what others may do with the ledger, each as the statement that takes it back."""
    return {row["statement"] for row in catalog.rows(conn, "ledger_grants")}
