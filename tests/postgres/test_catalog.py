"""Snapshots of tables as frames: of few and of many, and of every kind of index."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from support.databases import Database

from pgrunbook.postgres import session_settings
from pgrunbook.postgres.catalog import snapshot
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.run.diff import diff

TABLES = ("kinds", "Parts", "parts_1", "pg_class")
MADE = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TYPE state AS ENUM ('new', 'gone');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE kinds (
  id bigint PRIMARY KEY, name text, code varchar(20) UNIQUE, fixed char(3), state state, mail email, tags text[],
  place point, span int4range, body jsonb, "On" int, "user" int, "a b" int, here text COLLATE "C", raw bytea,
  kept information_schema.yes_or_no,
  EXCLUDE USING gist (span WITH &&));
CREATE INDEX kinds_several ON kinds (name, code, id);
CREATE INDEX "Kinds on" ON kinds ("On", "user", "a b");
CREATE INDEX kinds_down ON kinds (name DESC);
CREATE INDEX kinds_nulls ON kinds (name NULLS FIRST);
CREATE INDEX kinds_include ON kinds (id) INCLUDE (name);
CREATE INDEX kinds_expression ON kinds (lower(name), id);
CREATE INDEX kinds_partial ON kinds (id) WHERE name IS NOT NULL;
CREATE INDEX kinds_pattern ON kinds (name text_pattern_ops);
CREATE INDEX kinds_varchar_pattern ON kinds (code varchar_pattern_ops);
CREATE INDEX kinds_varchar_named ON kinds (code varchar_ops);
CREATE INDEX kinds_collated ON kinds (name COLLATE "C");
CREATE INDEX kinds_own_collation ON kinds (here);
CREATE INDEX kinds_other_collation ON kinds (here COLLATE "POSIX");
CREATE INDEX kinds_fixed ON kinds (fixed, state, mail, raw);
CREATE INDEX kinds_enum ON kinds (state);
CREATE INDEX kinds_domain ON kinds (mail);
CREATE INDEX kinds_array ON kinds (tags);
CREATE INDEX kinds_hash ON kinds USING hash (name);
CREATE INDEX kinds_gin ON kinds USING gin (body);
CREATE INDEX kinds_gist ON kinds USING gist (place);
CREATE INDEX kinds_brin ON kinds USING brin (id);
CREATE INDEX kinds_filled ON kinds (id) WITH (fillfactor = 70);
CREATE UNIQUE INDEX kinds_nulls_once ON kinds (name) NULLS NOT DISTINCT;
CREATE TABLE "Parts" (id int, day date) PARTITION BY RANGE (day);
CREATE INDEX parts_day ON "Parts" (day);
CREATE INDEX parts_only ON ONLY "Parts" (id);
CREATE TABLE parts_1 PARTITION OF "Parts" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE pg_class (id int);
CREATE INDEX hidden ON public.pg_class (id);
"""
DEFINITIONS = """
SELECT t.relname, i.relname, pg_get_indexdef(x.indexrelid, 0, true)
  FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
 WHERE t.relnamespace = 'public'::regnamespace
"""


@pytest.fixture
def look(empty: Database) -> Iterator[Session]:
    empty.load(MADE)
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        yield conn


def test_every_index_is_defined_as_the_server_says(look: Session) -> None:
    found = snapshot(look, "public", TABLES).indexes
    with session_settings.as_block(look):
        expected = {(table, index): text for table, index, text in look.execute(DEFINITIONS)}
    assert found["definition"].to_dict() == expected
    assert len(expected) > 25


@pytest.mark.parametrize("server", [18], indirect=True)
def test_what_rows_may_break_is_not_called_not_null(empty: Database) -> None:
    empty.load(
        "CREATE TABLE t (a int, b int NOT NULL); ALTER TABLE t ADD CONSTRAINT later NOT NULL a "
        "NOT VALID"
    )
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        assert snapshot(conn, "public", ["t"]).columns["nullable"].to_dict() == {
            ("t", "a"): True,
            ("t", "b"): False,
        }


def test_types_are_enums_and_domains_the_server_s_own_too(look: Session) -> None:
    types = snapshot(look, "public", TABLES).types
    assert types["kind"].to_dict() == {
        "state": "enum",
        "email": "domain",
        "information_schema.yes_or_no": "domain",
    }
    assert set(types["used_by"]) == {"kinds.state", "kinds.mail", "kinds.kept"}


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_type_that_has_changed_is_no_table(empty: Database) -> None:
    empty.load("CREATE TYPE kind AS ENUM ('a'); CREATE TABLE t (kind kind)")
    with connect(Target("t", empty.conninfo), schema="public", read_only=True) as conn:
        before = snapshot(conn, "public", ["t"])
        empty.execute("ALTER TYPE kind ADD VALUE 'b'")
        found = diff(before, snapshot(conn, "public", ["t"]))
    assert [*found.index] == [("changed", "type", "", "kind")]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_of_many_tables_the_same_is_seen_as_of_few(look: Session) -> None:
    look.execute("SET default_transaction_read_only = off")
    look.execute("ANALYZE public.kinds")
    absent = [f"absent_{n}" for n in range(1_000)]
    for (kind, few), (_, many) in zip(
        snapshot(look, "public", TABLES), snapshot(look, "public", [*TABLES, *absent]), strict=True
    ):
        assert len(few), kind
        if kind == "indexes":
            assert many.loc["kinds", "bytes"].equals(few.loc["kinds", "bytes"])
            few, many = few.drop(columns="bytes"), many.drop(columns="bytes")
        pd.testing.assert_frame_equal(many, few)
    for kind, none in snapshot(look, "public", [*absent, "absent"]):
        assert (len(none), len(none.columns) > 0) == (0, True), kind
