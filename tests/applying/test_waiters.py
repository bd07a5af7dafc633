"""Whoever waits for a batch's rows: seen by another session, and not for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from support.databases import Database

from pgrunbook.applying.vacuum import vacuum
from pgrunbook.applying.waiters import GaveWay, Waiters, cancel_for_waiters
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

SLOWLY = (
    "UPDATE public.notes SET note = 'ours' WHERE id = 1 AND pg_catalog.pg_sleep({}) IS NOT NULL"
)


@pytest.fixture
def notes(empty: Database) -> Database:
    empty.load("CREATE TABLE notes (id int, note text); INSERT INTO notes VALUES (1, ''), (2, '')")
    return empty


@pytest.fixture
def sessions(notes: Database) -> Iterator[tuple[Session, Session]]:
    with ExitStack() as stack:
        yield tuple(  # type: ignore[misc]
            stack.enter_context(connect(Target("test", notes.url), schema="public")) for _ in "12"
        )


UPDATE = b"UPDATE notes SET note = 'theirs' WHERE id = 1"


def application(notes: Database, statement: bytes) -> float:
    """How long the application's statement took, in seconds."""
    with notes.connect(application_name="shop") as conn:
        start = time.monotonic()
        conn.execute(statement)
        return time.monotonic() - start


def beside(
    notes: Database, pool: ThreadPoolExecutor, count: int = 1, statement: bytes = UPDATE
) -> list[Future[float]]:
    """The application's statements, begun when ours has its lock."""
    time.sleep(0.1)
    return [pool.submit(application, notes, statement) for _ in range(count)]


CATCHING = """\
DO $$ BEGIN
  BEGIN PERFORM pg_catalog.pg_sleep(5); EXCEPTION WHEN query_canceled THEN NULL; END;
  PERFORM pg_catalog.pg_sleep(5);
END $$"""


@pytest.mark.parametrize("working", ["SELECT pg_catalog.pg_sleep(10)", CATCHING])
def test_who_waits_for_longer_than_the_limit_cancels_the_statement(
    notes: Database, sessions: tuple[Session, Session], working: str
) -> None:
    work, look = sessions
    waiting: list[Future[float]] = []
    seen: list[Waiters] = []

    def batch() -> None:
        with work.transaction(), cancel_for_waiters(work, look, limit_ms=300) as waiters:
            seen.append(waiters)
            work.execute(SLOWLY.format(0).encode())
            waiting.extend(beside(notes, pool, 3))  # two of them wait behind the first
            work.execute(working.encode())

    with ThreadPoolExecutor() as pool:
        with pytest.raises(GaveWay):
            batch()
        waits = [each.result() for each in waiting]
    (waiters,) = seen
    assert waiters.gave_way
    assert waiters.waited_ms >= 200
    assert str(waiters.who).endswith("(shop, postgres), waited for us")
    assert 0.2 < max(waits) < 0.6, waits
    assert notes.execute("SELECT note FROM notes WHERE id = 1") == [("theirs",)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SLOWLY.format(0), UPDATE),
        # as a function of the DBA's may do
        ("SELECT pg_advisory_xact_lock(7)", b"SELECT pg_advisory_xact_lock(7)"),
    ],
    ids=["row", "advisory"],
)
def test_who_waits_for_less_is_told_of_and_nothing_is_cancelled(
    notes: Database, sessions: tuple[Session, Session], ours: str, theirs: bytes
) -> None:
    work, look = sessions
    with ThreadPoolExecutor() as pool:
        with work.transaction(), cancel_for_waiters(work, look, limit_ms=5_000) as waiters:
            work.execute(ours.encode())
            (waiting,) = beside(notes, pool, statement=theirs)
            work.execute("SELECT pg_catalog.pg_sleep(0.3)")
        assert waiting.result() < 2
    assert not waiters.gave_way
    assert 100 < waiters.waited_ms < 1_000


def test_nobody_waits_and_a_cancel_of_somebody_else_is_no_giving_way(
    notes: Database, sessions: tuple[Session, Session]
) -> None:
    work, look = sessions
    threading.Timer(0.2, work.cancel_safe).start()
    with (
        pytest.raises(psycopg.errors.QueryCanceled) as cancelled,
        cancel_for_waiters(work, look, limit_ms=50) as waiters,
    ):
        work.execute("SELECT pg_catalog.pg_sleep(10)")
    assert not isinstance(cancelled.value, GaveWay)
    assert (waiters.waited_ms, waiters.who) == (0, None)
    assert notes.execute("SELECT count(*) FROM notes") == [(2,)]


def test_what_comes_after_is_never_cancelled(
    notes: Database, sessions: tuple[Session, Session]
) -> None:
    """Somebody is always waiting, and statements end at about the moment of a look."""
    work, look = sessions
    over, gave_way = threading.Event(), 0

    def ask() -> None:
        with notes.connect() as conn:
            while not over.is_set():
                conn.execute("UPDATE notes SET note = 'theirs' WHERE id = 1")

    with ThreadPoolExecutor() as pool:
        asking = pool.submit(ask)
        try:
            for number in range(60):
                work.execute("BEGIN")
                try:
                    with cancel_for_waiters(work, look, limit_ms=0):
                        work.execute(SLOWLY.format(0.022 + number % 6 / 1000).encode())
                except GaveWay:
                    gave_way += 1
                work.execute("ROLLBACK; SELECT pg_catalog.pg_sleep(0.005)")
        finally:
            over.set()
        asking.result()
    assert 0 < gave_way < 60


def test_a_look_that_is_lost_does_not_fail_the_statement_and_is_said(
    notes: Database, sessions: tuple[Session, Session]
) -> None:
    work, look = sessions
    notes.execute("SELECT pg_terminate_backend(%s)", [look.info.backend_pid])
    with cancel_for_waiters(work, look, limit_ms=50) as waiters:
        work.execute("SELECT pg_catalog.pg_sleep(0.2)")
    assert "terminat" in waiters.blind


def test_a_vacuum_of_ours_is_noted_and_lets_nobody_wait(
    notes: Database, sessions: tuple[Session, Session]
) -> None:
    work, look = sessions
    noted: list[tuple[str, bool]] = []

    def run(**given: Any) -> str:
        def note(sql: str, elapsed_ms: float | None) -> None:
            noted.append((sql, elapsed_ms is not None))

        return vacuum(work, look, "public.notes", limit_ms=100, note=note, **given).ended

    notes.execute("UPDATE notes SET note = 'x'")
    before = work.execute("SHOW statement_timeout").fetchone()
    assert run() == "done"
    sql = "VACUUM (SKIP_LOCKED, TRUNCATE off, PARALLEL 0) public.notes"
    assert noted == [(sql, False), (sql, True)]
    noted.clear()
    with notes.connect() as other:
        other.execute("BEGIN; LOCK TABLE notes IN SHARE UPDATE EXCLUSIVE MODE")
        assert run() == "skipped"
    assert noted == [(sql, False)]
    work.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
    notes.execute("INSERT INTO notes SELECT n, repeat('x', 200) FROM generate_series(1, 9999) AS n")
    with ThreadPoolExecutor() as pool:
        started = pool.submit(run)
        time.sleep(0.3)
        start = time.monotonic()
        notes.execute("ALTER TABLE notes ADD COLUMN more int")
        assert time.monotonic() - start < 1
        assert started.result() == "gave way"
    start = time.monotonic()
    assert run(left_ms=300) == "cancelled"
    assert run(asked=lambda: time.monotonic() - start > 0.6) == "gave way"
    assert 0.6 < time.monotonic() - start < 2
    threading.Timer(0.2, work.cancel_safe).start()
    assert run() == "cancelled"  # by somebody who does not know whose it is
    assert work.execute("SHOW statement_timeout").fetchone() == before
