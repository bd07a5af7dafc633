"""What a session of ours is asked again is planned once, and says the same."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import psycopg
import pytest
from support.databases import Database

from pgrunbook.inventory.read import read, read_objects
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


@pytest.fixture
def session(empty: Database) -> Iterator[Session]:
    empty.load(
        "CREATE SCHEMA other; CREATE DOMAIN other.positive AS int CHECK (VALUE > 0);"
        "CREATE TABLE other.t (id serial PRIMARY KEY, n other.positive); CREATE TABLE mine (id int);"
        "CREATE INDEX i ON mine (id); COMMENT ON COLUMN mine.id IS 'said of it'; CREATE VIEW v AS TABLE mine"
    )
    with connect(Target("crm", empty.conninfo), schema="public", read_only=True) as conn:
        yield conn


def test_an_answer_is_the_same_each_time(empty: Database, session: Session) -> None:
    with empty.connect() as conn:
        expected = read(conn)
    assert dict(read(session)) == dict(expected)
    kept = len(session.kept)
    assert dict(read(session)) == dict(expected)
    assert len(session.kept) == kept
    for schema in ("other", "public"):
        within = {each: made for each, made in expected.items() if each.schema in (schema, None)}
        assert dict(read(session, [schema])) == within
    for addresses in ([*expected.addresses.values()], [*expected.addresses.values()][:5]):
        there = {each for each, address in expected.addresses.items() if address in addresses}
        assert {*read_objects(session, addresses)} == there
    planned = {name for (name,) in session.execute("SELECT name FROM pg_prepared_statements")}
    assert planned >= {*session.kept.values()}


def test_a_message_that_failed_is_sent_again(empty: Database, session: Session) -> None:
    with empty.connect() as other:
        other.execute("BEGIN; LOCK TABLE mine")
        session.execute("SET lock_timeout TO '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            read(session)
        assert gc.isenabled()  # it is not while a whole schema is read
        other.execute("ROLLBACK")
        assert dict(read(session)) == dict(read(other))


def test_a_kind_that_was_not_there_is_found_once_it_is(empty: Database, session: Session) -> None:
    read(session)
    empty.load(
        "CREATE TYPE e AS ENUM ('a'); CREATE SEQUENCE s; CREATE TYPE c AS (a int); CREATE AGGREGATE g (int)"
        "(SFUNC = int4pl, STYPE = int); CREATE TYPE r AS RANGE (SUBTYPE = int); CREATE TYPE shell"
    )
    found = {str(each) for each in read(session)}
    made = {*(f"type public.{name}" for name in ("e", "c", "r", "shell")), "sequence public.s"}
    assert made | {"aggregate public.g(integer)"} <= found
