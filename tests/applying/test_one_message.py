"""The statements of a transaction, sent as one message: what the server says of each."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from support.databases import Database, Role

from pgrunbook.applying.one_message import Message
from pgrunbook.applying.remedies import advice
from pgrunbook.errors import Failed
from pgrunbook.postgres import catalog
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import statements

TIMEOUTS = {
    "lock_timeout": "1s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
}


@pytest.fixture
def sessions(empty: Database) -> Iterator[tuple[Session, Session]]:
    """One that works, and one that looks."""
    empty.execute("CREATE TABLE there (id int, name varchar(10))")
    target = Target("test", empty.url)
    with (
        connect(target, schema="public") as work,
        connect(target, schema="public", read_only=True) as look,
    ):
        yield work, look


@contextmanager
def ran(
    work: Session, sql: str, timeouts: dict[str, str] = TIMEOUTS, *, traced: bool = True
) -> Iterator[Message]:
    """The statements in a transaction that is open as long as the `with` block lasts, and then
    committed.
    """
    message = Message(work, "public", statements(sql), traced)
    with work.undoing():
        message.send(timeouts, "SELECT")
        message.receive()
        yield message
        work.execute("COMMIT")


def failed(
    work: Session, sql: str, timeouts: dict[str, str] = TIMEOUTS
) -> tuple[Message, psycopg.Error]:
    """A message of which a statement failed, and its error; it was rolled back."""
    message = Message(work, "public", statements(sql))
    try:
        with work.undoing():
            message.send(timeouts, "SELECT")
            message.receive()
    except psycopg.Error as exc:
        assert work.info.transaction_status == TransactionStatus.IDLE
        return message, exc
    pytest.fail("nothing has failed")


def test_each_statement_has_its_time(sessions: tuple[Session, Session]) -> None:
    work, _ = sessions
    with ran(work, "CREATE TABLE a (); SELECT pg_sleep(0.3); CREATE TABLE b ();") as message:
        assert work.execute("SELECT current_setting('statement_timeout')").fetchone() == ("5s",)
    assert [sql for sql, _ in message.laps] == [
        "CREATE TABLE a ()",
        "SELECT pg_sleep(0.3)",
        "CREATE TABLE b ()",
    ]
    first, second, third = (ms for _, ms in message.laps)
    assert second >= 300 > max(first, third) > 0


def test_a_statement_may_end_with_a_comment(sessions: tuple[Session, Session]) -> None:
    work, look = sessions
    with ran(
        work, "CREATE TABLE a () -- the first\n; CREATE TABLE b () /* the second */ -- really"
    ):
        pass
    assert look.execute(
        "SELECT to_regclass('public.a') IS NOT NULL, to_regclass('public.b') IS NOT NULL"
    ).fetchone() == (True, True)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE copied AS SELECT * FROM t",
        "DO $$ BEGIN UPDATE t SET v = 1; END $$",
        "UPDATE other SET v = t.v FROM t WHERE t.id = other.id",
    ],
)
def test_rows_are_not_hidden_without_a_word(
    sessions: tuple[Session, Session], empty: Database, login_role: Callable[..., Role], sql: str
) -> None:
    """Of what the text does not tell, only the server knows that row security hides rows of it."""
    work, _ = sessions
    role = login_role(empty).name
    empty.load(
        f"CREATE TABLE t AS SELECT id, 0 AS v FROM generate_series(1, 4) AS g (id);"
        f"CREATE TABLE other AS SELECT * FROM t; ALTER TABLE other OWNER TO {role};"
        f"ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY half ON t USING (id <= 2); ALTER TABLE t OWNER TO {role};"
        f"GRANT CREATE ON SCHEMA public TO {role}"
    )
    as_owner = f"SET LOCAL ROLE {role}; "
    _, error = failed(work, as_owner + sql)
    assert error.sqlstate == "42501"
    assert "BYPASSRLS" in advice(error, Block("010_x", "", "", sql, (), ()))
    with ran(work, f"{as_owner}SET LOCAL row_security = on; {sql}"):
        pass
    with ran(work, f"{as_owner}INSERT INTO t VALUES (1, 1)"):
        pass


def test_a_file_that_the_server_may_not_open_is_no_privilege_of_a_role(
    sessions: tuple[Session, Session],
) -> None:
    work, _ = sessions
    sql = "COPY (SELECT 1) TO '/proc/version'"
    _, error = failed(work, sql)
    assert error.sqlstate == "42501"
    assert "the server's own user" in advice(error, Block("010_x", "", "", sql, (), ()))


def test_the_last_query_sees_what_the_statements_made(sessions: tuple[Session, Session]) -> None:
    work, _ = sessions
    message = Message(work, "public", statements("CREATE TABLE a (id int)"))
    with work.undoing():
        message.send(
            TIMEOUTS, catalog.statement(work, "relations", schema="public", names=["a"], role=None)
        )
        (rows,) = message.receive()
        assert [row["name"] for row in rows] == ["a"]
        work.execute("ROLLBACK")


def test_the_one_that_fails_is_known_and_no_other_is_run(sessions: tuple[Session, Session]) -> None:
    work, look = sessions
    message, _ = failed(work, "CREATE TABLE a (); SELECT 1 / 0; SELECT pg_sleep(1);")
    assert message.failed is not None
    assert message.failed[0].sql == "SELECT 1 / 0"
    assert look.execute("SELECT to_regclass('public.a')").fetchone() == (None,)


def test_where_it_fails_is_counted_from_the_beginning_of_the_message(
    sessions: tuple[Session, Session],
) -> None:
    work, _ = sessions
    message, _ = failed(work, "CREATE TABLE a (); SELECT missing")
    assert message.failed is not None
    _, place = message.failed
    assert "SELECT missing"[place:] == "missing"


def test_a_timeout_fails_the_statement_that_it_hits(sessions: tuple[Session, Session]) -> None:
    work, look = sessions
    look.execute("BEGIN")
    look.execute("SELECT FROM public.there")
    message, _ = failed(
        work, "CREATE TABLE a (); ALTER TABLE there ADD a int;", TIMEOUTS | {"lock_timeout": "50ms"}
    )
    assert message.failed is not None
    assert message.failed[0].sql.startswith("ALTER")


def test_a_timeout_is_that_of_each_statement_and_not_of_all_together(
    sessions: tuple[Session, Session],
) -> None:
    work, _ = sessions
    timeouts = TIMEOUTS | {"statement_timeout": "400ms"}
    with ran(work, "SELECT pg_sleep(0.25); SELECT pg_sleep(0.25); SELECT pg_sleep(0.25)", timeouts):
        pass
    message, _ = failed(work, "SELECT pg_sleep(0.25); SELECT pg_sleep(5)", timeouts)
    assert message.failed is not None
    assert message.failed[0].sql == "SELECT pg_sleep(5)"


def test_the_server_counts_the_time_that_we_are_silent(sessions: tuple[Session, Session]) -> None:
    """A laptop that sleeps gives its locks back."""
    work, look = sessions
    timeouts = TIMEOUTS | {"idle_in_transaction_session_timeout": "500ms"}

    def fall_silent() -> None:
        with ran(work, "ALTER TABLE there ADD silent int;", timeouts):
            time.sleep(1.5)
            held = look.execute(
                "SELECT count(*) FROM pg_locks WHERE pid = %s", [work.info.backend_pid]
            ).fetchone()
            assert held == (0,)
            work.execute("SELECT")

    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        fall_silent()


def test_why_a_session_was_ended_is_known(
    sessions: tuple[Session, Session], empty: Database
) -> None:
    work, _ = sessions
    ending = threading.Timer(
        0.3, empty.execute, ["SELECT pg_terminate_backend(%s)", [work.info.backend_pid]]
    )
    ending.start()
    with pytest.raises(psycopg.errors.AdminShutdown), ran(work, "SELECT pg_sleep(5)"):
        pass
    ending.join()


def test_many_statements_are_one_message(sessions: tuple[Session, Session]) -> None:
    """However long: the server has read all of it before it begins, and nobody waits for the
    other.
    """
    work, _ = sessions
    many = [f"CREATE TABLE t{n} ()" for n in range(20)] + [
        f"COMMENT ON TABLE t1 IS '{'x' * 300_000}'"
    ] * 3
    with ran(work, ";".join(many)) as message:
        pass
    assert [sql for sql, _ in message.laps] == many
    failing, _ = failed(work, "DROP TABLE t0;" + ";".join(many[1:]))
    assert failing.failed is not None
    assert failing.failed[0].sql == many[1]


def test_of_thousands_of_statements_not_each_has_the_locks_read(
    sessions: tuple[Session, Session],
) -> None:
    """Each look reads all of them. What was locked before is looked at behind the statement."""
    work, _ = sessions
    many = [f"CREATE TYPE t{n} AS ENUM ()" for n in range(1200)]
    many[600] = "ALTER TABLE there ADD a int"
    many[700] = "DO 'BEGIN PERFORM FROM pgrunbook_other; END'"
    work.execute("CREATE TABLE public.pgrunbook_other (id int)")
    with ran(work, ";".join(many)) as message:
        locks = [(lock.number, lock.relation, lock.mode) for lock in message.locks()]
    assert len(message._seen) < 600
    assert locks == [
        (601, "there", "ACCESS EXCLUSIVE"),
        (703, "pgrunbook_other", "ACCESS SHARE"),
    ]


def test_a_rule_that_answers_too_is_said_to_be_the_reason(
    sessions: tuple[Session, Session],
) -> None:
    work, look = sessions
    for name in ("one", "other"):
        work.execute(f"CREATE RULE {name} AS ON INSERT TO public.there DO ALSO SELECT 1".encode())
    with (
        pytest.raises(Failed, match="more answers than there are statements"),
        ran(work, "INSERT INTO there VALUES (1)"),
    ):
        pass
    assert look.execute("SELECT count(*) FROM public.there").fetchone() == (0,)


def test_locks_are_those_on_what_existed_before(sessions: tuple[Session, Session]) -> None:
    work, _ = sessions
    sql = (
        "CREATE TABLE made (id int); CREATE INDEX ON there (id); ALTER TABLE there ALTER name "
        "TYPE int USING 1;"
    )
    with ran(work, sql) as message:
        held = message.locks()
    assert [(lock.number, lock.relation, lock.mode, lock.rewritten) for lock in held] == [
        (2, "there", "SHARE", True),
        (3, "there", "ACCESS EXCLUSIVE", True),
    ]
    assert all(lock.held_ms > 0 for lock in held)


def test_the_time_to_parse_a_large_statement_is_not_taken_from_that_for_its_locks(
    sessions: tuple[Session, Session],
) -> None:
    work, _ = sessions
    rows = ", ".join(["(1, 'x')"] * 100_000)
    with ran(work, f"INSERT INTO there VALUES {rows}") as message:
        asked = "SELECT current_setting('lock_timeout')::interval"
        ((left,),) = work.execute(asked.encode()).fetchall()
    ((before, _),) = message._spans
    assert 1 - left.total_seconds() <= before - message._began + 0.002


def test_between_statements_that_insert_into_one_table_nothing_is_asked(
    sessions: tuple[Session, Session],
) -> None:
    work, _ = sessions
    work.execute("CREATE TABLE public.other (id int)")
    insert = "INSERT INTO {0} (id) VALUES (1); INSERT INTO {0} (id) SELECT 2;"
    with ran(work, "".join(map(insert.format, ("there", "other"))) + "DROP TABLE other") as message:
        assert [sql for sql, _ in message.laps] == [each.sql for each in message.statements]
        locks = [(lock.number, lock.relation, lock.mode) for lock in message.locks()]
    assert locks == [
        (2, "there", "ROW EXCLUSIVE"),
        (4, "other", "ROW EXCLUSIVE"),
        (5, "other", "ACCESS EXCLUSIVE"),
    ]


def test_a_lock_that_is_seen_at_the_end_counts_from_the_beginning(
    sessions: tuple[Session, Session],
) -> None:
    """Of a block that was to make its own tables only, and does more."""
    work, _ = sessions
    with ran(
        work, "SELECT FROM there; SELECT pg_sleep(0.2); CREATE TABLE made ();", traced=False
    ) as message:
        (lock,) = message.locks()
    assert (lock.number, lock.relation, lock.mode) == (3, "there", "ACCESS SHARE")
    assert lock.held_ms >= 200


def test_what_is_dropped_is_not_rewritten(sessions: tuple[Session, Session]) -> None:
    work, _ = sessions
    work.execute("CREATE VIEW public.seen AS SELECT FROM public.there")
    with ran(work, "DROP VIEW seen; DROP TABLE there;") as message:
        held = {lock.relation: lock.rewritten for lock in message.locks()}
    assert held == {"seen": False, "there": False}


def test_what_was_prepared_before_is_still_prepared(sessions: tuple[Session, Session]) -> None:
    work, _ = sessions
    prepared = "SELECT substr(name, 11) FROM pg_prepared_statements ORDER BY 1"
    catalog.rows(work, "place")
    with ran(work, "ALTER TABLE there ADD more int;"):
        catalog.rows(work, "place")
    failed(work, "DROP TABLE there; SELECT 1 / 0")
    with work.transaction():
        work.execute("ALTER TABLE public.there ADD still_more int")
    names = ("begun", "held", "lockable", "place", "remaining")
    assert work.execute(prepared).fetchall() == [(name,) for name in names]
    catalog.rows(work, "place")


def test_an_interrupt_at_any_moment_leaves_a_session_in_step_or_closed(empty: Database) -> None:
    """Otherwise what is asked next is answered with what was asked before, or nobody ends the
    transaction.
    """
    target = Target("test", empty.url)
    block = "CREATE TABLE a (); CREATE TABLE b (); DROP TABLE a; DROP TABLE b;"
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
            timer = threading.Timer(
                random.uniform(0, 0.005), os.kill, [os.getpid(), signal.SIGUSR1]
            )
            timer.start()
            try:
                armed = True
                with ran(work, block):
                    pass
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


@pytest.mark.parametrize("server", [18], indirect=True)
def test_what_the_timeout_of_a_lock_cancels_behind_it_has_waited_for_the_lock(
    sessions: tuple[Session, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may notice a timeout of LOCK TABLE as late as behind what sets the next one, and
    says then that somebody has cancelled. Here each part of a message ends so, one after the other.
    """
    work, look = sessions
    cancelled = look.pgconn.exec_(b"SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)")
    places = iter(range(9))

    def results() -> list[PGresult]:
        time.sleep(0.02)  # longer than the lock was to be waited for
        return [*Session.results(work)[: next(places)], cancelled]

    monkeypatch.setattr(work, "results", results)
    errors = []
    for _ in range(9):
        _, error = failed(work, "ALTER TABLE there ADD x int", TIMEOUTS | {"lock_timeout": "10ms"})
        errors.append(type(error))
    given_up, by_somebody = psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled
    # BEGIN, the timeouts, the time that is left; LOCK TABLE, the next timeout, a cursor; the path …
    assert errors == [*3 * [by_somebody], *3 * [given_up], *3 * [by_somebody]]


def test_times_are_exact_where_the_database_prints_few_digits(empty: Database) -> None:
    empty.execute("CREATE TABLE there (id int)")
    empty.execute(f"ALTER DATABASE {empty.name} SET extra_float_digits = -15")
    slow = "INSERT INTO there SELECT 1 FROM pg_sleep(0.01)"
    target = Target("test", empty.url)
    with connect(target, schema="public") as work, ran(work, ";".join([slow] * 3)) as message:
        laps = [elapsed_ms for _, elapsed_ms in message.laps]
    assert all(10 <= elapsed_ms < 1000 for elapsed_ms in laps), laps
