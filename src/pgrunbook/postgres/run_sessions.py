"""A run's sessions on its target, and how they take the locks that keep other runs away."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import psycopg

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed, LockedOut, Problem, Refused
from pgrunbook.postgres import catalog, connection, default_path, run_locks, session_settings
from pgrunbook.postgres.connection import closing_unless_usable
from pgrunbook.postgres.default_path import DefaultPath
from pgrunbook.postgres.query_plans import QueryPlans
from pgrunbook.postgres.session import MARGIN_S, Session
from pgrunbook.postgres.target import Target

# How long the session of a killed run, or a lost one of ours, may take to end: it may be in the
# middle of its commit.
SETTLING_S = 10.0

# What a session that applies blocks writes besides waits for no standby. A block's commit does, by
# the role's own setting, which `begun` reads; and it confirms what was written before it, too.
_LOCAL = """
SELECT set_config('pgrunbook.synchronous_commit', current_setting('synchronous_commit'), false),
       set_config('synchronous_commit', 'local', false)
"""


# those of this process
_all: WeakSet[Sessions] = WeakSet()


# A server behind a proxy does not notice that its client is gone, as the proxy is still there. So
# it is to end a session that has been idle for so long, with its locks: idle_session_timeout,
# https://www.postgresql.org/docs/current/runtime-config-client.html
IDLE_TIMEOUT = "1min"
EVERY_S = 15.0  # seconds: three of them may be late


class Heartbeat:
    """Sends a query to the session now and then, until it is stopped or the session is lost.

    By a thread: the main one may wait for a statement in another session for hours. psycopg lets
    one thread at a time use a session.
    """

    def __init__(self, conn: Session, every_s: float = EVERY_S) -> None:
        self._conn, self._every_s = conn, every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._conn.execute("SELECT")
            except psycopg.Error:  # whoever needs the session next is told
                return

    def stop(self) -> None:
        """Leave the session alone from now on, so that it can be closed."""
        self._stopped.set()
        self._thread.join()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Sessions:
    """A run's sessions: `look` is read-only, `work` applies blocks, and a third holds the lock.

    `statement_timeout` is the run's. `alone`: the lock keeps other runs from the whole database,
    and not only from the schema. `path` is where names are looked up: `look`, which comes first,
    asks for it, unless it is given, as for a copy, which has the target's.

    `work` and the lock's are opened when they are first needed: a plan never has them. Each must
    reach the database that the first has reached. Each but the lock's is opened anew if it was
    lost: with that session the lock is gone.
    """

    target: Target
    schema: str
    label: str
    statement_timeout: str = connection.STATEMENT_TIMEOUT
    alone: bool = False
    path: DefaultPath | None = None
    _look: Session | None = None
    _work: Session | None = None
    _lock: Session | None = None
    _heartbeat: Heartbeat | None = None
    _place: Mapping[str, Any] = field(default_factory=dict)
    _plans: QueryPlans = field(default_factory=QueryPlans)

    def __post_init__(self) -> None:
        _all.add(self)

    @property
    def look(self) -> Session:
        """The session that reads."""
        if self._look is None or self._look.closed:
            self._look = self._open(self.label, read_only=True, statement_timeout=self._own_timeout)
        if self.path is None:
            self.path = default_path.find(self._look)
            self._look.behind = self.path.behind
        return self._look

    def open_look(self) -> Session:
        """Return one more read-only session, for `%sql`: its queries are the user's, and have the
        run's statement_timeout.
        """
        return self._open(self.label, read_only=True, statement_timeout=self.statement_timeout)

    @property
    def _own_timeout(self) -> str:
        """Queries of ours have the run's, if that is longer than usual: a short one is meant for
        blocks.
        """
        return max(self.statement_timeout, connection.STATEMENT_TIMEOUT, key=milliseconds)

    @property
    def work(self) -> Session:
        """The session that applies blocks; a new one if it was lost.

        For a run that holds the lock it is the only one that does: a session of a killed run, or a
        lost one of ours, has ended, and what it did is settled. Raises LockedOut if such a session
        does not end.
        """
        if self._work is None or self._work.has_ended:
            conn = self._open(
                self.label, statement_timeout=self._own_timeout, idle_timeout=IDLE_TIMEOUT
            )
            with closing_unless_usable(conn, self.target):
                if self._lock is not None:
                    self._claim(conn)
                conn.give(_LOCAL)
            self._work = conn
        return self._work

    def put_back(self) -> None:
        """Have the session that applies blocks as it was opened: what others' code has left in it
        is for no other block, and not for the ledger. One that cannot be so, or has other advisory
        locks than a run's, is closed; the next is opened anew.
        """
        if self._work is not None and not self._work.closed:
            own = run_locks.of_work_session(self.schema) if self._lock is not None else set()
            try:
                held = self._work.put_back(session_settings.UNSETTING, run_locks.HELD)
                if {*held} != own:
                    self._work.close()
            except psycopg.Error:
                self._work.close()

    def note_made(self, objects: int) -> None:
        """Take account of so many objects that a block has made: see `QueryPlans`."""
        self._plans.note_made(objects, self._look, self._work)

    def _claim(self, conn: Session) -> None:
        """Take the lock of the session that applies blocks. Whoever has it is about to end."""
        deadline = time.monotonic() + SETTLING_S
        # waiting inside the server would hold a snapshot meanwhile
        own = run_locks.of_work(self.schema)
        while key := run_locks.take(conn, run_locks.WORK, own, alone=self.alone):
            if time.monotonic() > deadline:
                what = "a session of an earlier run is still executing a statement"
                remedy = (
                    "wait until it has ended, or end it with pg_terminate_backend; then run again"
                )
                raise LockedOut(problems=[self._holder(key, what, remedy)])
            time.sleep(0.1)

    def _open(self, label: str, **options: Any) -> Session:
        conn = connection.connect(self.target, schema=self.schema, label=label, **options)
        with closing_unless_usable(conn, self.target):
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
            if self.path:
                conn.behind = self.path.behind
        return conn

    def lock(self) -> None:
        """Take the lock of the schema, or of the whole database, until `close`, with no transaction
        held open.

        The server gives it back a minute after it has last heard of us.

        Raises LockedOut, naming the session that holds it.
        """
        if self._lock is not None:
            return
        conn = self._open(f"{self.label} lock", idle_timeout=IDLE_TIMEOUT)
        conn.allow(connection.CONNECT_TIMEOUT_S - MARGIN_S)
        with closing_unless_usable(conn, self.target):
            if key := run_locks.take(conn, run_locks.DATABASE, self._key, alone=self.alone):
                raise self._locked_out(key)
        self._lock, self._heartbeat = conn, Heartbeat(conn)
        try:
            _ = self.work  # open it now: it waits until that of an earlier run has ended
        except BaseException:
            self._heartbeat.stop()
            conn.close()
            self._lock = self._heartbeat = None
            raise

    @property
    def _key(self) -> int:
        return run_locks.of_schema(self.schema)

    def _locked_out(self, key: int) -> LockedOut:
        remedy = "wait until it has ended, then run again"
        if key == self._key:
            what = f"another run holds the advisory lock of schema {self.schema!r}"
            status = ["pgrunbook", "status", "--target", self.target.name, "--schema", self.schema]
            remedy += f"; what it does: {shlex.join(status)}"
        elif self.alone:
            what = "this run has to be alone in the database, and others are at work there"
        else:
            what = "another run holds the advisory lock of the whole database"
        return LockedOut(problems=[self._holder(key, what, remedy)])

    @property
    def locked(self) -> bool:
        """Whether this run has taken the lock."""
        return self._lock is not None

    @property
    def keeper(self) -> tuple[int, int] | None:
        """The process that holds the lock, and its key, to look in pg_locks whether it still
        does.
        """
        if self._lock is None:
            return None
        return self._lock.info.backend_pid, self._key

    def require_lock(self) -> None:
        """Raise Failed unless the lock is still ours: it went with its session, if that was lost,
        and is of no use where the name of the target leads to another server by now.
        """
        try:
            if self._lock is None:
                raise self.lost_lock()
            self._lock.execute("SELECT")
        except psycopg.OperationalError:
            raise self.lost_lock() from None
        held = catalog.rows(self.work, "held", keeper=self._lock.info.backend_pid, key=self._key)
        if not held[0]["kept"]:
            raise self.lost_lock()

    def lost_lock(self) -> Failed:
        """Return what to raise if the lock is gone."""
        return Failed.of(
            "the session that held the run's lock is gone, or is on another server than the one "
            "that applies blocks: another run may be at work",
            where=f"target {self.target.name!r}",
            remedy="run the cells again from the target on",
        )

    def _holder(self, key: int, what: str, remedy: str) -> Problem:
        holders = []
        for row in run_locks.holders(self.look, key):
            holders.append(f"pid {row['pid']}, {row['application']!r}, since {row['since']}")
        found = "; ".join(holders) or "it has just let go of it"
        return Problem(what, where=f"target {self.target.name!r}", found=found, remedy=remedy)

    def close(self) -> None:
        """End every session; the lock goes with its own."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
        for conn in (self._work, self._lock, self._look):
            if conn is not None:
                conn.close()
        self._look = self._work = self._lock = self._heartbeat = None


def end_all() -> None:
    """End the sessions of every run of this process, as its own end would: nothing is written."""
    for sessions in [*_all]:
        sessions.close()


def wait_for_end(conn: Session, run_id: str) -> None:
    """Wait until the session that applied a run's blocks in this session's schema has ended: its
    process may be dead and its commit under way.

    Reads only. Raises Failed if it does not end within SETTLING_S.
    """
    deadline = time.monotonic() + SETTLING_S
    key = run_locks.of_work(conn.schema)
    while working := _sessions_of_run(run_id, run_locks.holders(conn, key)):
        if time.monotonic() > deadline:
            raise Failed(
                f"its session, pid {working[0]['pid']}, has not ended, and may still commit"
            )
        time.sleep(0.1)


def _sessions_of_run(run_id: str, holders: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the sessions of a run, by their names; a name that this role is not shown may be."""
    return [row for row in holders if run_id[:8] in (row["application"] or run_id)]
