"""The advisory locks that keep runs apart: one run at a time in a schema, and schemas side by side.

They are per database, as the ledger is. Why there are several: docs/decisions/011.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session


def _key(name: str) -> int:
    """pg_try_advisory_lock takes a bigint."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


# The whole database. Runs share it, but for one that has to be alone there. A run of a version that
# knew no locks of schemas takes it alone, so that it and ours lock each other out.
DATABASE = _key("pgrunbook")

# The same, of the session that applies blocks. Where a run is killed, the server may still execute
# a statement of that session when the lock of the run itself is free.
WORK = _key("pgrunbook work")

# The ledger's tables, while they are made or brought up to date.
LEDGER = _key("pgrunbook ledger")


def of_schema(schema: str) -> int:
    """Return the lock of a run in a schema."""
    return _key(f"pgrunbook schema {schema}")


def of_work(schema: str) -> int:
    """Return the lock of the session that applies blocks in a schema."""
    return _key(f"pgrunbook work {schema}")


def take(conn: Session, whole: int, own: int, *, alone: bool) -> int | None:
    """Take the lock of the database, shared unless `alone`, and the schema's own, until the session
    ends. Return the one that somebody else has in the way; None if both are taken. Never waits.
    """
    shared = "" if alone else "_shared"
    query = f"SELECT pg_try_advisory_lock{shared}(%s), pg_try_advisory_lock(%s)"
    row = conn.execute(query.encode(), [whole, own]).fetchone()
    of_whole, of_own = row or (False, False)
    if not of_whole:
        return whole
    return None if of_own else own


# The advisory locks of a session: the key, and 1 if it is one bigint.
HELD = """
SELECT (classid::bigint << 32) | objid::bigint, objsubid::int
  FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"""


def of_work_session(schema: str) -> set[tuple[int, int]]:
    """Return what `HELD` finds in the session that applies blocks, once it has taken its locks."""
    return {(WORK, 1), (of_work(schema), 1)}


def holders(conn: Session, key: int) -> list[dict[str, Any]]:
    """Return the sessions that hold a lock: `pid`, `application`, `role`, `since`. Reads only.

    Without pg_read_all_stats, `application` is None for the sessions of other roles.
    """
    return catalog.rows(conn, "lock_holder", key=key)
