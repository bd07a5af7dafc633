"""Holding a command up in the middle of its work, inside the server, so that a fault can hit it
there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from faults.proxy import Session
from psycopg import sql
from support.databases import Database

# Blocks every ALTER TABLE, VALIDATE CONSTRAINT and foreign key at its first lock. CREATE INDEX
# CONCURRENTLY gets past the weaker mode, makes its index, and then waits for us in the middle of
# building it.
_MODES = {False: "SHARE ROW EXCLUSIVE", True: "ROW EXCLUSIVE"}

_PATIENCE_S = 60.0


@contextmanager
def held_up(
    database: Database, session: Session, *, commits: bool = False, schema: str = "public"
) -> Iterator[Callable[[], None]]:
    """Hold up the session's command, which is sent inside the `with` block, until its end.

    DDL waits for a lock on one of the schema's tables, a row of the ledger for a lock on its table;
    a command that `commits` waits, when it has, for a standby that does not exist: the transaction
    is then on the disk and visible to nobody. Yields a function that returns as soon as the command
    waits.
    """
    if commits:
        # On the servers of these tests it is `local`; a block's commit is as `begun` has noted.
        of_block = session.command.sql.endswith("COMMIT")
        session.ask(
            "SET LOCAL pgrunbook.synchronous_commit = 'on'"
            if of_block
            else "SET synchronous_commit = on"
        )
        hold = _standby(database, session.backend_pid)
    else:
        hold = _locks(database, session.command.sql, schema)
    with hold as waits:
        yield lambda: _wait_until(database, session.backend_pid, waits)


@contextmanager
def _standby(database: Database, pid: int) -> Iterator[str]:
    yield "wait_event = 'SyncRep'"
    with suppress(psycopg.OperationalError):  # the server may be down
        database.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = %s AND wait_event = "
            "'SyncRep'",
            [pid],
        )


@contextmanager
def _locks(database: Database, command: str, schema: str) -> Iterator[str]:
    into_ledger = command.startswith("EXECUTE pgrunbook_record")
    tables = [("pgrunbook", "blocks")] if into_ledger else _tables(database, schema)
    names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
    # a row of the ledger holds the SQL, too
    mode = sql.SQL(_MODES[not into_ledger and "CONCURRENTLY" in command])
    conn = database.connect(application_name="obstacle")
    try:
        conn.execute("SET lock_timeout = '5s'")
        conn.execute("BEGIN")
        conn.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(names, mode))
        yield "wait_event_type = 'Lock'"
    finally:
        conn.close()  # which never raises; the server may be down


def _tables(database: Database, schema: str) -> list[tuple[str, ...]]:
    return database.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = %s", [schema]
    )


def _wait_until(database: Database, pid: int, waits: str) -> None:
    query = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND {waits}"
    deadline = time.monotonic() + _PATIENCE_S
    while not database.execute(query):
        assert time.monotonic() < deadline, f"the command never waited: {waits}"
        time.sleep(0.01)
