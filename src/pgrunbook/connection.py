"""Sessions on the target, and the seam that turns the driver's errors into ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from pgrunbook import catalog
from pgrunbook.catalog import Connection
from pgrunbook.errors import Failed, LockedOut, Problem, Refused
from pgrunbook.targets import Target

# One key for every run: the lock is per database, as the ledger is. pg_try_advisory_lock takes a bigint.
LOCK_KEY = int.from_bytes(hashlib.sha256(b"pgrunbook").digest()[:8], signed=True)

CONNECT_TIMEOUT_S = 10


def connect(target: Target, *, schema: str, label: str = "", read_only: bool = False) -> Connection:
    """A session in autocommit whose search path is the one schema.

    `read_only` sessions refuse writes on the server's side. Raises Refused if the server cannot be reached or
    does not let us in; the text never holds the password.
    """
    try:
        conn = psycopg.connect(
            target.conninfo,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=f"pgrunbook {label}".strip()[:63],
        )
    except (psycopg.Error, UnicodeError) as exc:  # UnicodeError: a host's name that cannot be one
        raise _unreachable(target, exc) from None  # its context may hold the connection string
    path = sql.Identifier(schema).as_string(conn)
    conn.execute("SELECT set_config('search_path', %s, false), set_config('timezone', 'UTC', false)", [path])
    if read_only:
        conn.execute("SET default_transaction_read_only = on")
    return conn


def _unreachable(target: Target, exc: Exception) -> Refused:
    return Refused(
        "The target cannot be reached: nothing was changed.",
        problems=[
            Problem(
                target.redact(str(exc)).strip(),
                where=f"target {target.name!r}",
                remedy="try the same with psql; a password belongs into PGPASSFILE or the service file",
            )
        ],
    )


@dataclass(slots=True)
class Sessions:
    """A run's sessions: `look` is read-only, `work` applies blocks, and the lock has a session of its own.

    `work` and the lock are opened when they are first needed: a plan never has them.
    """

    target: Target
    schema: str
    label: str
    look: Connection = field(init=False)
    _work: Connection | None = None
    _lock: Connection | None = None

    def __post_init__(self) -> None:
        self.look = self.open_look()

    def open_look(self) -> Connection:
        """One more read-only session, for `%sql`."""
        return connect(self.target, schema=self.schema, label=self.label, read_only=True)

    @property
    def work(self) -> Connection:
        """The session that applies blocks."""
        if self._work is None:
            self._work = connect(self.target, schema=self.schema, label=self.label)
        return self._work

    def lock(self) -> None:
        """Take the one-run-at-a-time lock until `close`, with no transaction held open.

        Raises LockedOut, naming the session that holds it.
        """
        if self._lock is not None:
            return
        conn = connect(self.target, schema=self.schema, label=f"{self.label} lock")
        row = conn.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
        if row and row[0]:
            self._lock = conn
            return
        conn.close()
        raise LockedOut(problems=[self._holder()])

    def _holder(self) -> Problem:
        holders = catalog.rows(self.look, "lock_holder", key=LOCK_KEY)
        found = "; ".join(f"pid {h['pid']}, {h['application']!r}, since {h['since']}" for h in holders)
        return Problem(
            "another run holds the advisory lock",
            where=f"target {self.target.name!r}",
            found=found or "it has just let go of it",
            remedy="wait until it has ended, then run again; `pgrunbook status` shows its run",
        )

    def close(self) -> None:
        """End every session; the lock goes with its own."""
        for conn in (self._work, self._lock, self.look):
            if conn is not None:
                conn.close()
        self._work = self._lock = None


@contextmanager
def driver_errors(message: str, *, where: str, remedy: str = "") -> Iterator[None]:
    """Raise Failed in place of the driver's errors, with what the server said and where."""
    try:
        yield
    except psycopg.Error as exc:
        raise Failed(message, problems=[problem_of(exc, where=where, remedy=remedy)]) from exc


def problem_of(exc: psycopg.Error, *, where: str, remedy: str = "") -> Problem:
    """What the server said, as a Problem: its message and SQLSTATE, detail, hint, and what to do next."""
    diag = exc.diag
    what = diag.message_primary or str(exc).strip() or type(exc).__name__
    hint = " ".join(filter(None, [diag.message_hint, remedy]))
    return Problem(
        f"{what} (SQLSTATE {exc.sqlstate})" if exc.sqlstate else what,
        where=where,
        found=diag.message_detail or "",
        remedy=hint,
    )
