"""Sessions on the target, and the seam that turns the driver's errors into ours."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from pgrunbook import catalog
from pgrunbook.catalog import Connection
from pgrunbook.errors import Failed, LockedOut, Problem, Refused, first_line
from pgrunbook.session import Session
from pgrunbook.targets import Target


def _key(name: bytes) -> int:
    """One key for every run: a lock is per database, as the ledger is. pg_try_advisory_lock takes a bigint."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)


# The run's lock, on a session of its own; and that of the session which applies blocks, which may outlive a killed run
# by the statement that it is executing.
LOCK_KEY = _key(b"pgrunbook")
WORK_KEY = _key(b"pgrunbook work")

# How long the session of a killed run, or a lost one of ours, may take to end: it may be in the middle of its commit.
SETTLING_S = 10.0

CONNECT_TIMEOUT_S = 10


def connect(target: Target, *, schema: str, label: str = "", read_only: bool = False) -> Session:
    """A session in autocommit whose search path is the one schema.

    `read_only` sessions refuse writes on the server's side. Raises Refused if the server cannot be reached or
    does not let us in; the text never holds the password.
    """
    try:
        conn = Session.connect(
            target.conninfo,
            autocommit=True,
            prepare_threshold=None,  # psycopg would deallocate ours with its own after each ALTER or ROLLBACK
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=f"pgrunbook {label}".strip()[:63],
            **_ALIVE,
        )
    except (psycopg.Error, UnicodeError) as exc:  # UnicodeError: a host's name that cannot be one
        raise _unreachable(target, exc) from None  # its context may hold the connection string
    with _closing_unless_usable(conn, target):
        _refuse_old_server(conn, target)
        search_path = {"search_path": sql.Identifier(schema).as_string(conn)}
        _set(conn, _SETTINGS | search_path | (_READS if read_only else {}))
        conn.execute(_INHERITED)
        with suppress(psycopg.errors.InvalidParameterValue):  # not every operating system can tell
            _set(conn, {"client_connection_check_interval": "1s"})
        _refuse_pooler(conn, target)
    return conn


@contextmanager
def _closing_unless_usable(conn: Connection, target: Target) -> Iterator[None]:
    """Close the session if the `with` block fails; what the driver says there is a reason to refuse the target."""
    try:
        yield
    except psycopg.Error as exc:
        conn.close()
        remedy = "see that this role may do so, then run again"
        problems = [problem_of(exc, where=f"target {target.name!r}", remedy=remedy)]
        raise Refused("The target cannot be used: nothing was changed.", problems=problems) from exc
    except BaseException:
        conn.close()
        raise


def _set(conn: Connection, settings: Mapping[str, str]) -> None:
    calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    conn.execute(f"SELECT {calls}".encode(), [text for pair in settings.items() for text in pair])


# A connection that broke without a word is noticed within half a minute. Not for a local socket, which ignores them.
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

# What decides how the server reads our SQL and how it prints what we compare, whatever the role, the database and the
# environment say.
_SETTINGS = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "idle_session_timeout": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",  # or a session that reads would wait for the one that writes
    "plan_cache_mode": "force_generic_plan",  # each catalog query is planned once a session
    "jit": "off",
}

# Whoever only looks waits for nobody for long: to print an index or a CHECK, the server locks its table.
_READS = {"default_transaction_read_only": "on", "lock_timeout": "2s"}

# What a role or a database may have set otherwise: a commit is on the disk before it is reported, and a transaction may
# take as long as our own timeouts let it (of version 17).
_INHERITED = """
SELECT set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'local'), false),
       CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
            THEN set_config('transaction_timeout', '0', false) END
"""


# What a session that applies blocks writes besides waits for no standby. A block's commit does, by the role's own
# setting, which `begun` reads; and it confirms what was written before it, too.
_LOCAL = """
SELECT set_config('pgrunbook.synchronous_commit', current_setting('synchronous_commit'), false),
       set_config('synchronous_commit', 'local', false)
"""


OLDEST_SERVER = 150000  # server_version_num; the tests run on 16 and 18, and nothing that we use is newer than 15


def _refuse_old_server(conn: Connection, target: Target) -> None:
    if conn.info.server_version < OLDEST_SERVER:
        raise Refused.of(
            "the server is too old",
            where=f"target {target.name!r}",
            expected="PostgreSQL 15 or later",
            found=str(conn.info.parameter_status("server_version")),
            remedy="upgrade the server",
        )


def _refuse_pooler(conn: Connection, target: Target) -> None:
    """Behind a transaction pooler, the search path and the advisory lock would stay with somebody else's session."""
    row = conn.execute("SELECT pg_backend_pid()").fetchone()
    if row and row[0] != conn.info.backend_pid:
        raise Refused.of(
            "a connection pooler answers, and not the server itself",
            where=f"target {target.name!r}",
            expected="a session of our own",
            found="another backend than the one that we connected to",
            remedy="connect to the server's own port",
        )


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

    `work` and the lock are opened when they are first needed: a plan never has them. Each must reach the database
    that the first has reached; each but the lock is opened anew if it was lost.
    """

    target: Target
    schema: str
    label: str
    _look: Session | None = None
    _work: Session | None = None
    _lock: Session | None = None
    _place: Mapping[str, Any] = field(default_factory=dict)

    @property
    def look(self) -> Session:
        """The session that reads."""
        if self._look is None or self._look.closed:
            self._look = self.open_look()
        return self._look

    def open_look(self) -> Session:
        """One more read-only session, for `%sql`."""
        return self._open(self.label, read_only=True)

    @property
    def work(self) -> Session:
        """The session that applies blocks; a new one if it was lost.

        For a run that holds the lock it is the only one that does: a session of a killed run, or a lost one of ours,
        has ended, and what it did is settled. Raises LockedOut if such a session does not end.
        """
        if self._work is None or self._work.closed:
            conn = self._open(self.label)
            with _closing_unless_usable(conn, self.target):
                if self._lock is not None:
                    self._claim(conn)
                conn.execute(_LOCAL)
            self._work = conn
        return self._work

    def _claim(self, conn: Connection) -> None:
        deadline = time.monotonic() + SETTLING_S
        while not _try_lock(conn, WORK_KEY):  # waiting inside the server would hold a snapshot meanwhile
            if time.monotonic() > deadline:
                what = "a session of an earlier run is still executing a statement"
                remedy = "wait until it has ended, or end it with pg_terminate_backend; then run again"
                raise LockedOut(problems=[self._holder(WORK_KEY, what, remedy)])
            time.sleep(0.1)

    def _open(self, label: str, *, read_only: bool = False) -> Session:
        conn = connect(self.target, schema=self.schema, label=label, read_only=read_only)
        with _closing_unless_usable(conn, self.target):
            there = catalog.rows(conn, "place")[0]
            self._place = here = self._place or there
            if here != there:
                raise Refused.of(
                    "the name of the target leads to different databases",
                    where=f"target {self.target.name!r}",
                    expected=", ".join(map(str, here.values())),
                    found=", ".join(map(str, there.values())),
                    remedy="name one host in the connection string or the service",
                )
        return conn

    def lock(self) -> None:
        """Take the one-run-at-a-time lock until `close`, with no transaction held open.

        Raises LockedOut, naming the session that holds it.
        """
        if self._lock is not None:
            return
        conn = self._open(f"{self.label} lock")
        with _closing_unless_usable(conn, self.target):
            if not _try_lock(conn, LOCK_KEY):
                remedy = "wait until it has ended, then run again; `pgrunbook status` shows its run"
                raise LockedOut(problems=[self._holder(LOCK_KEY, "another run holds the advisory lock", remedy)])
        self._lock = conn
        try:
            _ = self.work
        except BaseException:
            conn.close()
            self._lock = None
            raise

    @property
    def locked(self) -> bool:
        """Whether this run has taken the lock."""
        return self._lock is not None

    @property
    def keeper(self) -> tuple[int, int] | None:
        """The process that holds the lock, and its key, to look in pg_locks whether it still does."""
        return None if self._lock is None else (self._lock.info.backend_pid, LOCK_KEY)

    def require_lock(self) -> None:
        """Raise Failed unless the lock is still ours: it went with its session, if that was lost."""
        try:
            if self._lock is not None:
                self._lock.execute("SELECT")
                return
        except psycopg.OperationalError:
            pass
        raise self.lost_lock()

    def lost_lock(self) -> Failed:
        """What to raise if the lock is gone."""
        return Failed.of(
            "the session that held the run's lock is gone: another run may be at work",
            where=f"target {self.target.name!r}",
            remedy="run the cells again from the target on",
        )

    def _holder(self, key: int, what: str, remedy: str) -> Problem:
        holders = holding(self.look, key)
        found = "; ".join(f"pid {h['pid']}, {h['application']!r}, since {h['since']}" for h in holders)
        where = f"target {self.target.name!r}"
        return Problem(what, where=where, found=found or "it has just let go of it", remedy=remedy)

    def close(self) -> None:
        """End every session; the lock goes with its own."""
        for conn in (self._work, self._lock, self._look):
            if conn is not None:
                conn.close()
        self._look = self._work = self._lock = None


def holding(conn: Connection, key: int = LOCK_KEY) -> list[dict[str, Any]]:
    """The session that holds a lock of a run: `pid`, `application`, `role`, `since`. Reads only.

    Without pg_read_all_stats, `application` is None for the sessions of other roles.
    """
    return catalog.rows(conn, "lock_holder", key=key)


def wait_for_end(conn: Connection, run_id: str) -> None:
    """Wait until the session that applied a run's blocks has ended: its process may be dead and its commit under way.

    Reads only. Raises Failed if it does not end within SETTLING_S.
    """
    deadline = time.monotonic() + SETTLING_S
    while working := [h for h in holding(conn, WORK_KEY) if run_id[:8] in (h["application"] or run_id)]:
        if time.monotonic() > deadline:
            raise Failed(f"its session, pid {working[0]['pid']}, has not ended, and may still commit")
        time.sleep(0.1)


def _try_lock(conn: Connection, key: int) -> bool:
    row = conn.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
    return bool(row and row[0])


@contextmanager
def driver_errors(message: str, *, where: str, remedy: str = "") -> Iterator[None]:
    """Raise Failed in place of the driver's errors, with what the server said and where."""
    try:
        yield
    except psycopg.Error as exc:
        raise Failed(message, problems=[problem_of(exc, where=where, remedy=remedy)]) from exc


def problem_of(exc: psycopg.Error, *, where: str, remedy: str = "") -> Problem:
    """What the server said, as a Problem: its message and SQLSTATE, detail, hint, and below that what to do next."""
    diag = exc.diag
    what = diag.message_primary or first_line(exc).strip() or type(exc).__name__
    return Problem(
        f"{what} (SQLSTATE {exc.sqlstate})" if exc.sqlstate else what,
        where=where,
        found=diag.message_detail or "",
        remedy="\n".join(filter(None, [diag.message_hint, remedy])),
    )
