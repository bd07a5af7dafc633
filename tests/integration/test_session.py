"""A session on the target: what it does while it waits, what it has prepared, what is left of it when it fails."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from databases import Database

from pgrunbook.connection import connect
from pgrunbook.session import Session
from pgrunbook.targets import Target

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
        raise psycopg.OperationalError("the other session is lost")

    with session.watched(0.05, fail), session.watched(0.02, lambda: looks.append("looked")):
        row = session.execute("SELECT pg_sleep(0.3), 7").fetchone()
    assert row == ("", 7)
    assert looks.count("failed") == 1  # and never again
    assert looks.count("looked") >= 5


def test_an_interrupt_while_it_looks_closes_it(session: Session, empty: Database) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), session.watched(0.02, interrupt):
        session.execute("SELECT pg_sleep(5)")
    assert session.closed
    assert empty.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == [(0,)]


def test_an_interrupt_in_the_middle_of_a_message_ends_it(session: Session, empty: Database) -> None:
    def interrupted() -> None:
        with session.undoing():
            session.send("BEGIN; CREATE TABLE made (); SELECT pg_sleep(5)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert session.closed
    assert empty.execute("SELECT to_regclass('made')") == [(None,)]


def test_what_failed_is_rolled_back_and_the_session_goes_on(session: Session, empty: Database) -> None:
    def failing() -> None:
        with session.undoing():
            session.execute("BEGIN; CREATE TABLE made ()")
            raise ValueError("by hand")

    with pytest.raises(ValueError, match="by hand"):
        failing()
    assert empty.execute("SELECT to_regclass('made')") == [(None,)]
    assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "value",
    ["x", "it's $1, 100 % and \\ and ü", "", ["a", 'b "c", {d}', "e'f"], [], [1, 2], None, 2**40, True],
    ids=str,
)
def test_a_prepared_query_is_given_values_as_they_are(session: Session, value: object) -> None:
    types = {str: "text", list: "int[]" if value == [1, 2] else "text[]", int: "bigint", bool: "boolean"}
    query = f"SELECT %(value)s::{types.get(type(value), 'text')}, '100 %%'"
    for _ in range(2):
        asked = session.prepared("asked", query, {"value": value})
        assert session.execute(asked.encode()).fetchone() == (value, "100 %")
    names = session.execute("SELECT name, generic_plans FROM pg_prepared_statements").fetchall()
    assert names == [("pgrunbook_asked", 2)]
