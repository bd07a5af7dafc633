"""What the ledger says that a block has changed, beside two inventories of the whole database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import databases
from support.applying import Applying
from support.databases import Database

from pgrunbook.inventory.objects import Inventory, differences
from pgrunbook.inventory.read import read
from pgrunbook.ledger.drift import find_drift
from pgrunbook.ledger.fold import read_fold

pytestmark = pytest.mark.newest

GROUND = """
CREATE TABLE t (id int PRIMARY KEY, a text, b int DEFAULT 1);
CREATE TABLE child (t int REFERENCES t, note text);
CREATE VIEW v AS SELECT id, a FROM t;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE SCHEMA other;
CREATE TABLE other.far (id int);
CREATE INDEX i ON t (a);
COMMENT ON TABLE child IS 'of t';
"""


@pytest.fixture
def applying(empty: Database, tmp_path: Path, place: Path) -> Iterator[Applying]:
    empty.load(GROUND)
    made = Applying(empty, tmp_path, place)
    yield made
    made.sessions.close()


def seen(database: Database) -> Inventory:
    with database.connect() as conn:
        return read(conn)


def noted(database: Database) -> list[list[Any]]:
    ((effect,),) = database.execute("SELECT effect FROM pgrunbook.blocks ORDER BY id DESC LIMIT 1")
    return [row[:4] for row in effect]


@pytest.mark.parametrize(
    "sql",
    [
        'CREATE TABLE new (id serial PRIMARY KEY, t int REFERENCES t, x text COLLATE "C");',
        "ALTER TABLE t ADD COLUMN c jsonb NOT NULL DEFAULT '{}', ALTER b DROP DEFAULT;",
        "ALTER TABLE t DROP COLUMN b;",
        "DROP VIEW v; ALTER TABLE t RENAME COLUMN a TO z; CREATE VIEW v AS SELECT z FROM t;",
        "ALTER TABLE t RENAME TO renamed;",
        "ALTER TABLE t RENAME COLUMN id TO key;",
        "ALTER SCHEMA other RENAME TO another;",
        "ALTER TABLE other.far SET SCHEMA public;",
        "DROP TABLE t CASCADE;",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'; ALTER TYPE mood ADD VALUE 'high';",
        "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';",
        "DO $$ BEGIN CREATE TABLE hidden (a int); RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN"
        " DROP INDEX i; CREATE TABLE seen (a int); END $$;",
        "COMMENT ON COLUMN t.a IS 'said'; GRANT SELECT ON t TO PUBLIC;",
        "COMMENT ON TABLE child IS NULL; DROP SCHEMA other CASCADE;",
        "CREATE POLICY p ON t USING (id > 0); ALTER TABLE t ENABLE ROW LEVEL SECURITY;",
        "INSERT INTO t (id) VALUES (1); UPDATE t SET a = 'x';",
        "SET LOCAL search_path = other; CREATE TABLE near (id int); CREATE VIEW w AS TABLE near;",
        "DROP VIEW v; CREATE DOMAIN d AS text CHECK (value <> ''); ALTER TABLE t ALTER a TYPE d;",
    ],
)
def test_the_effect_is_what_two_looks_at_everything_differ_by(applying: Applying, sql: str) -> None:
    before = seen(applying.database)
    applying(sql)
    after = seen(applying.database)
    expected = {
        each.object: (
            each.before and dict(each.before.properties),
            each.after and dict(each.after.properties),
        )
        for each in differences(before, after)
    }
    assert {(type_, name): (was, now) for type_, name, was, now in noted(applying.database)} == {
        (each.type, each.identity): changes for each, changes in expected.items()
    }


def test_what_somebody_else_changes_meanwhile_is_not_the_blocks(applying: Applying) -> None:
    applying.before = lambda: applying.database.load("ALTER TABLE child ADD COLUMN by_hand int")
    applying("ALTER TABLE t ADD COLUMN c int;")
    assert [row[1] for row in noted(applying.database)] == ["public.t.c"]


def test_what_an_event_trigger_does_is_in_the_effect(applying: Applying) -> None:
    applying.database.load(
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "COMMENT ON TABLE child IS 'meddled'; END $$;"
        "CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION "
        "meddle()"
    )
    applying("CREATE TABLE new (id int);")
    assert "public.child" in [row[1] for row in noted(applying.database)]


def test_the_rows_that_it_writes_are_counted(applying: Applying) -> None:
    done = applying(
        "INSERT INTO t (id) SELECT generate_series(1, 5); UPDATE t SET a = 'x' WHERE id < 3;"
        "DELETE FROM t WHERE id = 5;"
    )
    ((rows,),) = applying.database.execute("SELECT rows_written FROM pgrunbook.blocks")
    counts = {"inserted": 5, "updated": 2, "deleted": 1}
    assert rows == [{"relation": "public.t", **counts, "truncated": 0}]
    assert done.effect
    assert done.effect.rows_frame().loc["public.t"].to_dict() == counts


def test_what_was_truncated_is_counted_as_the_statistics_had_it(applying: Applying) -> None:
    applying.database.load("INSERT INTO t (id) SELECT generate_series(1, 50)")
    done = applying("DO $$ BEGIN TRUNCATE t CASCADE; END $$;")
    assert done.effect
    assert done.effect.rows_frame().loc["public.t"].to_dict() == {
        "inserted": 0,
        "updated": 0,
        "deleted": 0,
        "truncated": 50,
    }
    assert done.effect.summary() == "50 rows truncated"


def test_a_membership_that_is_revoked_by_hand_is_drift(applying: Applying) -> None:
    one, other = (databases.login_role(applying.database).name for _ in range(2))
    applying(f"GRANT {one} TO {other};")
    assert [row[:2] for row in noted(applying.database)] == [
        ["role membership", f"{other} in {one}"]
    ]
    applying.database.execute(f"REVOKE {one} FROM {other}")
    with applying.database.connect() as conn:
        found = find_drift(
            read_fold(conn, "public"), read(conn), conn.info.server_version // 10_000
        )
    assert [str(each.object) for each in found] == [f"role membership {other} in {one}"]


def test_a_secret_in_what_was_there_does_not_reach_the_ledger(applying: Applying) -> None:
    body = "SELECT ''host=db password=Tr0ub4dor-{}''"
    make = "CREATE OR REPLACE FUNCTION g() RETURNS text LANGUAGE sql AS '{}'"
    applying.database.load(make.format(body.format(1)))
    applying("CREATE OR REPLACE FUNCTION g() RETURNS text LANGUAGE sql AS 'SELECT NULL::text';")
    assert "Tr0ub4dor" not in str(noted(applying.database))
    assert "host=db" in str(noted(applying.database))
