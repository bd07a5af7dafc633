"""What the ledger expects: blocks that extend, alter, rename and drop what others made, beside the
whole inventory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.applying import Applying
from support.databases import Database

from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.inventory.read import read
from pgrunbook.ledger import write
from pgrunbook.ledger.drift import Drift, find_drift
from pgrunbook.ledger.fold import Fold, read_fold
from pgrunbook.postgres import catalog
from pgrunbook.runbooks.blocks import Block

pytestmark = pytest.mark.newest


@pytest.fixture
def applying(empty: Database, tmp_path: Path, place: Path) -> Applying:
    return Applying(empty, tmp_path, place)


def drifted(database: Database, version: int = 0, schema: str = "public") -> list[Drift]:
    with database.connect() as conn:
        return find_drift(
            read_fold(conn, schema), read(conn), version or conn.info.server_version // 10_000
        )


def told(database: Database, schema: str = "public") -> list[tuple[str, str]]:
    return [
        (str(each.object), each.problem.what.removeprefix(f"{each.object} "))
        for each in drifted(database, schema=schema)
    ]


HISTORY = """
CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE u (t int);
CREATE INDEX i ON t (a); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
--
ALTER TABLE t ADD COLUMN b text DEFAULT 'x'; ALTER TABLE u ADD FOREIGN KEY (t) REFERENCES t NOT VALID;
--
ALTER TABLE u VALIDATE CONSTRAINT u_t_fkey; ALTER TABLE t RENAME COLUMN a TO c; DROP INDEX i;
--
ALTER TABLE t RENAME TO renamed; CREATE VIEW v AS SELECT id, c FROM renamed;
--
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'; DROP TABLE u;
CREATE DOMAIN age AS int; CREATE TABLE feed (id int); CREATE PUBLICATION p FOR TABLE feed;
"""


def apply_all(applying: Applying, history: str) -> None:
    for number, sql in enumerate(history.split("--\n"), 1):
        applying(sql, name=f"{number:03}_block")


@pytest.mark.parametrize("server", [18], indirect=True)
def test_later_blocks_may_change_all_that_earlier_ones_made(applying: Applying) -> None:
    apply_all(applying, HISTORY)
    assert told(applying.database) == []
    with applying.database.connect() as conn:
        expected, found = read_fold(conn, "public"), read(conn)
    made = {each for each, definition in expected.definitions.items() if definition}
    assert made == {
        each for each in found if each.type not in ("schema", "extension") and not each.shared
    }


@pytest.fixture
def elsewhere(applying: Applying, tmp_path: Path, place: Path) -> Iterator[Applying]:
    """The same runbook, in schema b of the same database."""
    applying.database.execute("CREATE SCHEMA b")
    (tmp_path / "b").mkdir()
    made = Applying(applying.database, tmp_path / "b", place, schema="b")
    yield made
    made.sessions.close()


IN_PUBLIC = """
CREATE TABLE b.t (id int); CREATE TABLE b.w (id int); CREATE TABLE u (id int); CREATE SCHEMA c;
CREATE TYPE mood AS ENUM ('good');
"""
IN_B = """
ALTER TABLE t ADD COLUMN n int; ALTER TABLE t RENAME COLUMN id TO key; ALTER TABLE b.t ADD CHECK (n > 0);
COMMENT ON TABLE t IS 'altered'; DROP TABLE public.u; ALTER TYPE public.mood ADD VALUE 'bad';
ALTER TABLE w RENAME TO x; CREATE TABLE own (id int); CREATE TABLE public.more (id int);
"""


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_run_in_another_schema_may_change_it_all(applying: Applying, elsewhere: Applying) -> None:
    database = applying.database
    applying(IN_PUBLIC)
    with database.connect() as conn:
        known = read_fold(conn, "b").history
    assert {each.identity for each in known} >= {"b.t", "b.t.id", "b.w"}
    elsewhere(IN_B)
    assert told(database) == told(database, "b") == []
    database.load("ALTER TABLE b.t ALTER n SET DEFAULT 1; ALTER TABLE public.more ADD by_hand int")
    (column, more), (again,) = drifted(database), drifted(database, schema="b")[:1]
    assert [column.object.identity, more.object.identity] == ["b.t.n", "public.more.by_hand"]
    assert column.setter.schema == "b"
    assert " of 900_x in schema b, " in str(column.setter)
    assert (again.object, again.setter.schema) == (column.object, "")
    applying("COMMENT ON TABLE b.t IS 'last'", name="020_block")
    assert told(database) == told(database, "b")


@pytest.mark.parametrize("server", [18], indirect=True)
def test_what_a_run_in_another_schema_has_undone_is_as_before(
    applying: Applying, elsewhere: Applying
) -> None:
    applying("CREATE TABLE b.t (id int)")
    elsewhere("ALTER TABLE t ADD COLUMN n int; COMMENT ON TABLE t IS 'altered'")
    database = applying.database
    effect = database.execute("SELECT effect FROM pgrunbook.blocks WHERE schema_name = 'b'")[0][0]
    write.write_block(
        elsewhere.sessions.work,
        elsewhere.run_id,
        write.about(Block("010_block", "", "", "", (), ()), reason="", sql=""),
        event="reverted",
        effect=[[type_, of, now, was, part] for type_, of, was, now, part in effect],
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        revision=1,
    )
    database.load("ALTER TABLE b.t DROP n; COMMENT ON TABLE b.t IS NULL")
    assert told(database) == told(database, "b") == []
    database.load("DROP TABLE b.t")
    assert [(str(each.object), each.setter.schema) for each in drifted(database)] == [
        ("table b.t", "")
    ]


@pytest.mark.parametrize("server", [15, 18], indirect=True)
def test_of_many_schemas_the_rows_of_others_are_not_read(applying: Applying) -> None:
    database = applying.database
    applying("CREATE TABLE t (id int)")
    database.load(
        """INSERT INTO pgrunbook.blocks (run_id, runbook, schema_name, block, revision, event, reason, sql, source_sha256,
                                         tree_sha256, sql_sha256, variants, facts, started_at, effect)
           SELECT run_id, runbook, schema, block, revision, event, reason, sql, source_sha256, tree_sha256, sql_sha256,
                  variants, facts, started_at, replace(effect::text, 'public.', schema || '.')::jsonb
             FROM pgrunbook.blocks, (SELECT 's' || generate_series(1, 2000)) AS g (schema);
           ANALYZE pgrunbook.blocks"""
    )
    indexed = "SELECT reltuples::int FROM pg_class WHERE relname = 'blocks_elsewhere'"
    assert database.execute(indexed) == [(0,)]
    asked = {"schema": "s7", "schemas": ["s8"], "identities": ["s7.t"]}
    with database.connect() as conn:
        (plan,) = (
            conn.execute(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {catalog.query('ledger_effects_elsewhere')}".encode(),
                asked,
            ).fetchone()
            or ()
        )
    text = json.dumps(plan)
    assert "Seq Scan" not in re.findall(
        r'"Node Type": "([^"]*)", [^{]*"Relation Name": "blocks"', text
    )
    assert "blocks_elsewhere" in text


EDITS = {
    "ALTER TABLE renamed ALTER b SET DEFAULT 'y'": "table column public.renamed.b",
    "ALTER TABLE renamed DROP COLUMN b": "table column public.renamed.b",
    "ALTER TABLE renamed ADD COLUMN z int": "table column public.renamed.z",
    "ALTER TABLE renamed SET UNLOGGED": "table public.renamed",
    "ALTER TABLE renamed ADD CHECK (id > 0)": "table constraint renamed_id_check on public.renamed",
    "CREATE UNIQUE INDEX w ON renamed (c)": "index public.w",
    "ALTER TABLE renamed ENABLE ROW LEVEL SECURITY": "table public.renamed",
    "CREATE POLICY p ON renamed USING (true)": "policy p on public.renamed",
    "CREATE RULE r AS ON INSERT TO renamed DO INSTEAD NOTHING": "rule r on public.renamed",
    "COMMENT ON TABLE renamed IS 'by hand'": "table public.renamed",
    "GRANT DELETE ON renamed TO PUBLIC": "table public.renamed",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 3'": "function public.f()",
    "CREATE OR REPLACE VIEW v AS SELECT id, c FROM renamed LIMIT 1": "view public.v",
    "DROP VIEW v": "view public.v",
    "CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING": "rule r on public.v",
    "ALTER DOMAIN age ADD CONSTRAINT k CHECK (value < 9)": "domain constraint k on public.age",
    "ALTER PUBLICATION p ADD TABLES IN SCHEMA public": "publication namespace public in publication p",
    "ALTER PUBLICATION p DROP TABLE feed": "publication relation public.feed in publication p",
    "CREATE TABLE u (t int)": "table public.u",
}


@pytest.mark.parametrize("server", [18], indirect=True)
def test_each_edit_by_hand_is_the_drift_and_nothing_else(applying: Applying) -> None:
    apply_all(applying, HISTORY)
    database = applying.database
    for edit, named in EDITS.items():
        with database.connect() as conn, conn.transaction(force_rollback=True):
            conn.execute(edit.encode())
            found = find_drift(
                read_fold(conn, "public"), read(conn), conn.info.server_version // 10_000
            )
        assert [str(each.object) for each in found] == [named], edit
        assert found[0].setter.runbook == "900_x"


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize("columns", ["id int, b int, x int, a int", "x int, id int, a int, b int"])
def test_a_table_that_was_made_anew_has_its_columns_in_its_own_order(
    applying: Applying, columns: str
) -> None:
    apply_all(
        applying,
        "CREATE TABLE t (id int, a int, b int);--\n"
        f"ALTER TABLE t RENAME TO old; CREATE TABLE t ({columns}); DROP TABLE old;",
    )
    assert told(applying.database) == []


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_index_that_enforces_nothing_is_the_dbas_own(applying: Applying) -> None:
    apply_all(applying, HISTORY)
    applying.database.execute("CREATE INDEX mine ON renamed (c)")
    assert told(applying.database) == []


@pytest.mark.parametrize("server", [18], indirect=True)
def test_what_another_version_has_printed_is_no_drift_and_is_missed_all_the_same(
    applying: Applying,
) -> None:
    applying("CREATE TABLE t (id int); CREATE TABLE u (id int);")
    applying.database.execute("DROP TABLE u")
    found = drifted(applying.database, version=19)
    assert [str(each.object) for each in found] == ["table public.u"]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_the_effect_is_readable_without_us(applying: Applying) -> None:
    applying("CREATE TABLE t (id int);")
    text = applying.database.psql("-Atc", "SELECT effect FROM pgrunbook.blocks")
    assert ["table", "public.t"] in [row[:2] for row in json.loads(text)]


def test_what_a_block_has_changed_is_told_of_a_copy_as_that_has_it() -> None:
    """Where other roles own everything, and something could not be copied."""
    table, column = Object("table", "public.t"), Object("table column", "public.t.a")
    gone, lacking = Object("view", "public.v"), Object("index", "public.i")
    changes = {
        table: (None, Definition({"owner": "ada"})),
        column: (Definition({"type": "int", "default": "1"}), Definition({"type": "bigint"})),
        gone: (Definition({"owner": "ada"}), None),
        lacking: (None, Definition({"definition": "x"})),
    }
    known = Fold(changes={("001_x", "010_x", ""): changes}, parts={column: "public.t"})
    copied = {
        table: Definition({"owner": "copy"}),
        column: Definition({"type": "bigint", "storage": "PLAIN"}),
    }
    assert known.effect("001_x", "010_x", copied) == [
        [*table, None, {"owner": "copy"}, None],
        [
            *column,
            {"type": "int", "default": "1", "storage": "PLAIN"},
            {"type": "bigint", "storage": "PLAIN"},
            "public.t",
        ],
        [*gone, {"owner": "ada"}, None, None],
    ]
    assert known.effect("001_x", "020_y", copied) == []
    known.unread.add(table)
    assert known.effect("001_x", "010_x", copied) is None
