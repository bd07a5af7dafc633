"""The statements of a transaction, sent at once: what the server says of each."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from databases import Database
from psycopg.pq import TransactionStatus

from pgrunbook import catalog
from pgrunbook.batch import Batch
from pgrunbook.catalog import Connection
from pgrunbook.connection import connect
from pgrunbook.scripts import statements
from pgrunbook.targets import Target

SETTINGS = {"lock_timeout": "1s", "statement_timeout": "5s"}


@pytest.fixture
def sessions(empty: Database) -> Iterator[tuple[Connection, Connection]]:
    """One that works, and one that looks."""
    empty.execute("CREATE TABLE there (id int, name varchar(10))")
    target = Target("test", empty.url)
    with connect(target, schema="public") as work, connect(target, schema="public", read_only=True) as look:
        yield work, look


def test_each_statement_has_its_time(sessions: tuple[Connection, Connection]) -> None:
    work, _ = sessions
    batch = Batch(work)
    with work.transaction():
        batch.send(SETTINGS, statements("CREATE TABLE a (); SELECT pg_sleep(0.3); CREATE TABLE b ();"))
        assert work.execute("SELECT current_setting('lock_timeout')").fetchone() == ("1s",)
    assert [sql for sql, _ in batch.laps] == ["CREATE TABLE a ()", "SELECT pg_sleep(0.3)", "CREATE TABLE b ()"]
    first, second, third = (ms for _, ms in batch.laps)
    assert second >= 300 > max(first, third) > 0


def test_the_one_that_fails_is_known_and_no_other_is_run(sessions: tuple[Connection, Connection]) -> None:
    work, look = sessions
    batch = Batch(work)
    with pytest.raises(psycopg.errors.DivisionByZero), work.transaction():
        batch.send(SETTINGS, statements("CREATE TABLE a (); SELECT 1 / 0; SELECT pg_sleep(1);"))
    assert batch.failed is not None
    assert batch.failed.sql == "SELECT 1 / 0"
    assert look.execute("SELECT to_regclass('a')").fetchone() == (None,)


def test_a_timeout_fails_the_statement_that_it_hits(sessions: tuple[Connection, Connection]) -> None:
    work, look = sessions
    batch = Batch(work)
    look.execute("BEGIN")
    look.execute("SELECT FROM there")
    with pytest.raises(psycopg.errors.LockNotAvailable), work.transaction():
        batch.send(SETTINGS | {"lock_timeout": "50ms"}, statements("CREATE TABLE a (); ALTER TABLE there ADD a int;"))
    assert batch.failed is not None
    assert batch.failed.sql.startswith("ALTER")


def test_the_server_counts_the_time_that_we_are_silent(sessions: tuple[Connection, Connection]) -> None:
    """A laptop that sleeps gives its locks back."""
    work, look = sessions
    settings = SETTINGS | {"idle_in_transaction_session_timeout": "500ms"}

    def fall_silent() -> None:
        with work.transaction():
            Batch(work).send(settings, statements("ALTER TABLE there ADD silent int;"))
            time.sleep(1.5)
            held = look.execute("SELECT count(*) FROM pg_locks WHERE pid = %s", [work.info.backend_pid]).fetchone()
            assert held == (0,)
            work.execute("SELECT")

    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        fall_silent()


def test_many_statements_are_sent_in_parts(sessions: tuple[Connection, Connection]) -> None:
    work, _ = sessions
    many = [f"CREATE TABLE t{n} ()" for n in range(20)] + [f"COMMENT ON TABLE t1 IS '{'x' * 10_000}'"] * 3
    batch = Batch(work)
    with work.transaction():
        batch.send(SETTINGS, statements(";".join(many)))
    assert [sql for sql, _ in batch.laps] == many
    failing = Batch(work)
    with pytest.raises(psycopg.errors.DuplicateTable), work.transaction():
        failing.send(SETTINGS, statements("DROP TABLE t0;" + ";".join(many[1:])))
    assert failing.failed is not None
    assert failing.failed.sql == many[1]


def test_a_failure_is_raised_and_not_logged_besides(
    sessions: tuple[Connection, Connection], caplog: pytest.LogCaptureFixture
) -> None:
    work, _ = sessions
    for _ in range(20):
        with pytest.raises(psycopg.errors.DivisionByZero), work.transaction():
            Batch(work).send(SETTINGS, statements("SELECT 1 / 0;" + "CREATE TABLE a ();" * 7))
    assert caplog.messages == []


def test_locks_are_those_on_what_existed_before(sessions: tuple[Connection, Connection]) -> None:
    work, look = sessions
    batch = Batch(work)
    with work.transaction():
        sql = "CREATE TABLE made (id int); CREATE INDEX ON there (id); ALTER TABLE there ALTER name TYPE int USING 1;"
        batch.send(SETTINGS, statements(sql))
        held = batch.locks(look)
    assert [(lock.number, lock.relation, lock.mode, lock.rewritten) for lock in held] == [
        (2, "there", "SHARE", True),
        (3, "there", "ACCESS EXCLUSIVE", True),
    ]
    assert all(lock.held_ms > 0 for lock in held)


def test_what_is_dropped_is_not_rewritten(sessions: tuple[Connection, Connection]) -> None:
    work, look = sessions
    work.execute("CREATE VIEW seen AS SELECT FROM there")
    batch = Batch(work)
    with work.transaction():
        batch.send(SETTINGS, statements("DROP VIEW seen; DROP TABLE there;"))
        held = {lock.relation: lock.rewritten for lock in batch.locks(look)}
    assert held == {"seen": False, "there": False}


def test_what_was_prepared_before_is_still_prepared(sessions: tuple[Connection, Connection]) -> None:
    work, _ = sessions
    prepared = "SELECT name FROM pg_prepared_statements ORDER BY 1"
    catalog.rows(work, "place")
    before = work.execute(prepared).fetchall()
    with work.transaction():
        Batch(work).send(SETTINGS, statements("ALTER TABLE there ADD more int;"))
        catalog.rows(work, "place")
    assert (len(before), work.execute(prepared).fetchall()) == (1, before)
    catalog.rows(work, "place")


def test_an_interrupt_at_any_moment_leaves_a_session_in_step_or_closed(empty: Database) -> None:
    """Otherwise what is asked next is answered with what was asked before, or nobody ends the transaction."""
    target = Target("test", empty.url)
    block = statements("CREATE TABLE a (); CREATE TABLE b (); DROP TABLE a; DROP TABLE b;")
    armed, interrupted = False, 0

    def interrupt(*_: object) -> None:
        if armed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    work = connect(target, schema="public")
    try:
        for moment in range(200):
            if work.closed:
                work = connect(target, schema="public")
            timer = threading.Timer(random.uniform(0, 0.005), os.kill, [os.getpid(), signal.SIGUSR1])
            timer.start()
            try:
                armed = True
                with work.transaction():
                    Batch(work).send(SETTINGS, block)
                armed = False
            except KeyboardInterrupt:
                armed = False
                interrupted += 1
            timer.join()
            assert work.closed or work.execute("SELECT %s::int", [moment]).fetchone() == (moment,)
            assert work.closed or work.info.transaction_status == TransactionStatus.IDLE
    finally:
        signal.signal(signal.SIGUSR1, before)
        work.close()
    assert interrupted > 20
