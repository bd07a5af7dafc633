"""Locks that a block takes on what existed before, seen from another session: in which mode, for
how long.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session

if TYPE_CHECKING:
    import pandas as pd

STRONGEST = "ACCESS EXCLUSIVE"

# What an application feels of each mode, from the table of conflicts in the manual.
BLOCKS: Mapping[str, str] = {
    "ACCESS SHARE": "DROP, TRUNCATE, most of ALTER TABLE",
    "ROW SHARE": "DDL that locks rows out",
    "ROW EXCLUSIVE": "DDL that locks writes out",
    "SHARE UPDATE EXCLUSIVE": "other DDL, VACUUM; no reads, no writes",
    "SHARE": "writes",
    "SHARE ROW EXCLUSIVE": "writes",
    "EXCLUSIVE": "writes, SELECT FOR UPDATE",
    STRONGEST: "reads and writes",
}


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that a statement took: the number of the statement, counted from 1, the relation, and
    the mode. Of a block of more than 500 statements, what code took has the number of the statement
    behind which the locks were read next: none is lost, as all are held to the end.

    `held_ms` is for how many milliseconds at most: from when the statement was sent, so that the
    wait for the lock is included, to the end of the transaction. `rewritten`: the block wrote the
    relation anew, as a whole.
    """

    number: int
    relation: str
    mode: str
    held_ms: float
    rewritten: bool = False


def longer(locks: Sequence[Lock], limit: str) -> list[Lock]:
    """Return the locks that let nobody even read for longer than `limit`, a PostgreSQL duration."""
    return [lock for lock in locks if lock.mode == STRONGEST and lock.held_ms > milliseconds(limit)]


def longest(locks: Sequence[Lock]) -> list[Lock]:
    """Return each lock once, as it was held longest."""
    found: dict[tuple[str, str], Lock] = {}
    for lock in sorted(locks, key=lambda lock: lock.held_ms):
        found[lock.relation, lock.mode] = lock
    return list(found.values())


def strongest(locks: Sequence[Lock]) -> list[Lock]:
    """Return the strongest lock on each relation, but for locks that every query takes."""
    found: dict[str, Lock] = {}
    for lock in sorted(locks, key=lambda lock: list(BLOCKS).index(lock.mode)):
        if lock.mode not in ("ACCESS SHARE", "ROW SHARE"):
            found[lock.relation] = lock
    return list(found.values())


def frame(locks: Sequence[Lock]) -> pd.DataFrame:
    """Return the strongest lock on each relation: index `relation`; columns `lock`, `blocks`,
    `held_ms`, `rewritten`.

    Locks that every query takes are left out, where nothing stronger was taken.
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    rows = []
    for lock in strongest(locks):
        held_ms = round(lock.held_ms, 1)
        rows.append((lock.relation, lock.mode, BLOCKS[lock.mode], held_ms, lock.rewritten))
    # said, as an empty column has no type of its own
    types = {"held_ms": "float64", "rewritten": "bool"}
    types |= dict.fromkeys(("relation", "lock", "blocks"), "str")
    columns = ["relation", "lock", "blocks", "held_ms", "rewritten"]
    return pd.DataFrame(rows, columns=columns).astype(types).set_index("relation")


def holders(
    conn: Session, schema: str | None, mode: str, tables: Iterable[str] | None = None
) -> str:
    """Return who else holds a lock of this mode on tables of the schema, or of any, or on these: a
    line each; empty if nobody does.

    Reads only. Without pg_read_all_stats, little is shown of other roles.
    """
    name = mode.title().replace(" ", "") + "Lock"
    listed = None if tables is None else sorted(tables)
    rows = catalog.rows(conn, "table_locks", schema=schema, mode=name, tables=listed)
    lines = []
    for row in rows:
        table = row.pop("table")
        lines.append(f"{describe_session(**row)}: {table}")
    return "\n".join(lines)


def unreadable(conn: Session, target: str) -> Problem:
    """Return the problem of a table that could not be read within the lock_timeout of the session
    that looks, and who holds it.
    """
    return Problem(
        "a table cannot be read now: somebody else is changing it",
        where=f"target {target!r}",
        expected=f"no {STRONGEST} lock on a table that is looked at",
        found=holders(conn, None, STRONGEST) or "it has just been let go of",
        remedy="wait until these sessions have ended their transactions, or end them; then do the "
        "same again",
    )


def describe_session(
    pid: int, application: str, role: str | None, state: str | None, transaction_s: float | None
) -> str:
    """Return a session in a line: `pid 1 (report, ada), idle in transaction, transaction open for
    5 s`.

    A prepared transaction, which belongs to no session any more, has the pid 0, and its name for a
    state.
    """
    role = role or "role not shown"
    if pid:
        parts = [f"pid {pid} ({application or 'no application name'}, {role})", state]
    else:
        parts = [f"{state} ({role})", "which COMMIT PREPARED or ROLLBACK PREPARED ends"]
    if transaction_s is not None:
        parts.append(f"transaction open for {transaction_s:.0f} s")
    return ", ".join(filter(None, parts))


class Trace:
    """Collects the locks of one session on what existed before, statement by statement."""

    def __init__(self) -> None:
        # by OID and mode: number of the statement, when it was sent, relation, filenode
        self._found: dict[tuple[int, str], tuple[int, float, str, int]] = {}

    def note(self, number: int, sent: float, rows: Iterable[Mapping[str, Any]]) -> None:
        """Note the locks that are new since the last call: of statement `number`, sent at `sent` by
        time.perf_counter.

        Each of `rows` is a lock: `oid`, `relation` and `filenode` as another session sees them, and
        `mode` as the server writes it. Where nobody else can have any lock, a weaker one changes
        nothing.
        """
        locks = []
        for row in rows:
            locks.append((row["relation"], _mode(row["mode"]), row["oid"], row["filenode"]))
        # ACCESS EXCLUSIVE, the strongest, sorts first: once it is noted, the others are left out
        for relation, mode, oid, filenode in sorted(locks):
            if (oid, STRONGEST) not in self._found:
                self._found.setdefault((oid, mode), (number, sent, relation, filenode))

    @property
    def oids(self) -> list[int]:
        """The relations on which there are locks."""
        return sorted({oid for oid, _ in self._found})

    def locks(self, filenodes: Mapping[int, int]) -> tuple[Lock, ...]:
        """Return the locks so far, held until now. `filenodes` are those that the session itself
        sees, which alone knows what it has rewritten, by OID.
        """
        now = time.perf_counter()
        locks = []
        for (oid, mode), (number, sent, relation, filenode) in self._found.items():
            held_ms = (now - sent) * 1000
            rewritten = filenodes.get(oid, filenode) != filenode
            locks.append(Lock(number, relation, mode, held_ms, rewritten))
        return tuple(locks)


def _mode(name: str) -> str:
    """`AccessExclusiveLock` of pg_locks as ACCESS EXCLUSIVE, as the manual and LOCK TABLE have
    it.
    """
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Lock")).upper()
