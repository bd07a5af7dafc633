"""A session on the target: what it does while it waits, what it has prepared, what is left of it
when it fails.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support.databases import Database
from support.projects import wait_for

from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


@pytest.fixture
def session(empty: Database) -> Iterator[Session]:
    with connect(Target("test", empty.url), schema="public") as conn:
        yield conn


def test_it_looks_as_long_as_the_server_says_nothing(session: Session) -> None:
    seen: list[int] = []
    with session.watched(0.02, lambda: seen.append(1)):
        session.execute("SELECT 1")
        assert len(seen) <= 1
        session.execute("SELECT pg_sleep(0.3)")
    assert len(seen) >= 5
    before = len(seen)
    session.execute("SELECT pg_sleep(0.1)")
    assert len(seen) == before


def test_what_it_waits_for_comes_though_nobody_can_look(session: Session) -> None:
    looks: list[str] = []

    def fail() -> None:
        looks.append("failed")
        raise ValueError("whatever it is")

    with session.watched(0.05, fail), session.watched(0.02, lambda: looks.append("looked")):
        row = session.execute("SELECT pg_sleep(0.3), 7").fetchone()
    assert row == ("", 7)
    assert looks.count("failed") == 1  # and never again
    assert looks.count("looked") >= 5


def test_each_look_has_its_own_interval(session: Session) -> None:
    looks: list[str] = []
    with (
        session.watched(0.02, lambda: looks.append("often")),
        session.watched(0.2, lambda: looks.append("seldom")),
    ):
        session.execute("SELECT pg_sleep(0.5)")
    assert looks.count("often") >= 10
    assert looks.count("seldom") <= 3


def test_settings_that_would_break_a_promise_are_not_inherited(empty: Database) -> None:
    empty.execute(f"ALTER DATABASE {empty.name} SET synchronous_commit = off")
    empty.execute(f"ALTER DATABASE {empty.name} SET transaction_timeout = '5min'")
    with connect(Target("test", empty.url), schema="public") as conn:
        asked = (
            "SELECT current_setting('synchronous_commit'), current_setting('transaction_timeout')"
        )
        assert conn.execute(asked).fetchone() == ("local", "0")
    empty.execute(f"ALTER DATABASE {empty.name} SET synchronous_commit = remote_apply")
    with connect(Target("test", empty.url), schema="public") as conn:
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("remote_apply",)


def test_what_it_reads_and_where_it_ends_is_not_for_others_to_set(empty: Database) -> None:
    for setting in ("extra_float_digits = -15", "exit_on_error = on"):
        empty.execute(f"ALTER DATABASE {empty.name} SET {setting}")
    with connect(Target("test", empty.url), schema="public") as conn:
        assert conn.execute("SELECT 1795889705.346777::float8").fetchone() == (1795889705.346777,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            conn.execute("SELECT 1 / 0")
        assert not conn.closed


def test_an_interrupt_while_it_looks_closes_it(session: Session, empty: Database) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    at_work = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
    pid = session.info.backend_pid
    with pytest.raises(KeyboardInterrupt), session.watched(0.02, interrupt):
        session.execute("SELECT pg_sleep(3600)")
    assert session.closed
    wait_for(lambda: empty.execute(f"SELECT EXISTS ({at_work})", [pid]) == [(False,)])


def test_an_interrupt_in_the_middle_of_a_message_ends_it(session: Session, empty: Database) -> None:
    def interrupted() -> None:
        with session.undoing():
            session.send("BEGIN; CREATE TABLE public.made (); SELECT pg_sleep(5)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert session.closed
    assert empty.execute("SELECT to_regclass('made')") == [(None,)]


def test_a_second_interrupt_while_it_cancels_leaves_nothing_open(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline may send the signal again and again."""

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    def interrupted() -> None:
        with session.undoing():
            session.send("BEGIN; SELECT pg_sleep(5)")
            monkeypatch.setattr(session, "cancel_safe", interrupt)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert session.closed


def test_what_failed_is_rolled_back_and_the_session_goes_on(
    session: Session, empty: Database
) -> None:
    def failing() -> None:
        with session.undoing():
            session.execute("BEGIN; CREATE TABLE public.made ()")
            raise ValueError("by hand")

    with pytest.raises(ValueError, match="by hand"):
        failing()
    assert empty.execute("SELECT to_regclass('made')") == [(None,)]
    assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "it's $1, 100 % and \\ and ü",
        "",
        ["a", 'b "c", {d}', "e'f"],
        [],
        [1, 2],
        None,
        2**40,
        True,
    ],
    ids=str,
)
def test_a_prepared_query_is_given_values_as_they_are(session: Session, value: object) -> None:
    types = {
        str: "text",
        list: "int[]" if value == [1, 2] else "text[]",
        int: "bigint",
        bool: "boolean",
    }
    query = f"SELECT %(value)s::{types.get(type(value), 'text')}, '100 %%'"
    for _ in range(2):
        asked = session.prepared("asked", query, {"value": value})
        assert session.execute(asked.encode()).fetchone() == (value, "100 %")
    names = session.execute("SELECT name, generic_plans FROM pg_prepared_statements").fetchall()
    assert names == [("pgrunbook_asked", 2)]


def test_values_go_to_the_parameters_of_their_names(session: Session) -> None:
    query = "SELECT %(one)s::text, %(other)s::text"
    for values in ({"one": "a", "other": "b"}, {"other": "b", "one": "a"}):
        assert session.execute(session.prepared("two", query, values).encode()).fetchone() == (
            "a",
            "b",
        )
