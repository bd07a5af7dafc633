"""The shape read from SQL equals the shape read from the catalog, on every version."""

from __future__ import annotations

import pytest
from psycopg import sql
from support.databases import Database

from pgrunbook.postgres import shapes
from pgrunbook.runbooks.scripts import statements
from pgrunbook.sqltext import shape
from pgrunbook.sqltext.shape import Key

WORKSPACES = "CREATE TABLE workspaces (id uuid PRIMARY KEY);"

COLUMNS = [
    "a uuid DEFAULT gen_random_uuid()",
    "a int4 NOT NULL DEFAULT 0",
    "a integer DEFAULT -1",
    "a numeric(10,2) DEFAULT -1.5",
    "a float8 DEFAULT 0.5",
    "a bool DEFAULT true",
    "a jsonb DEFAULT '{}'",
    "a text[] DEFAULT '{}'",
    "a int[] DEFAULT '{}'",
    "a text[] DEFAULT ARRAY['x', 'y']",
    "a varchar(20) DEFAULT 'x'",
    "a character varying(20) DEFAULT 'x'::varchar",
    "a char(3) DEFAULT 'abc'",
    "a timestamptz DEFAULT now()",
    "a timestamp with time zone DEFAULT CURRENT_TIMESTAMP",
    "a date DEFAULT '2020-01-01'",
    "a interval DEFAULT '1 day'",
    "a text DEFAULT 'a' || 'b'",
    'a text COLLATE "C"',
    "a int GENERATED ALWAYS AS IDENTITY",
    "a text, b text GENERATED ALWAYS AS (lower(a)) STORED",
    "a text NULL",
    "a uuid REFERENCES workspaces (id) ON DELETE CASCADE",
    "a text UNIQUE",
    "a int CHECK (a > 0)",
    "a text CHECK (a IN ('x', 'y'))",
    "a text CHECK (a NOT IN ('x', 'y'))",
    "a varchar(9) CHECK (a IN ('x', 'y'))",
    "a text CHECK (a LIKE 'x%' OR a IS NULL)",
    "a int CHECK (a BETWEEN 1 AND 5 AND a <> 3)",
    "a int, b int, CHECK (a < b)",
    'a int, b int, CONSTRAINT "Odd name" UNIQUE (a, b)',
    "a int, b int, PRIMARY KEY (b, a)",
    "a int, b int, CHECK (a > 0), CHECK (a > 1), CHECK (b > 0)",
]


def both(
    database: Database, ddl: str, schema: str = "public"
) -> tuple[dict[Key, str], dict[Key, str]]:
    """The facts of the SQL, and those of the catalog after it ran."""
    made = {
        key: value for s in statements(ddl) for key, value in shape.effect_of(s.node).facts.items()
    }
    with database.connect() as conn:
        conn.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        conn.execute(ddl.encode())
        return made, shapes.of_catalog(conn, schema, {key.table for key in made})


@pytest.mark.parametrize("columns", COLUMNS)
def test_a_table_reads_the_same_from_both_sides(empty: Database, columns: str) -> None:
    made, found = both(empty, f"{WORKSPACES} CREATE TABLE t ({columns});")
    assert made == found


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX i ON t (a, b DESC)",
        "CREATE UNIQUE INDEX i ON t USING btree (a) INCLUDE (b)",
        "CREATE INDEX i ON t (lower(a), b text_pattern_ops) WHERE a = 'x' AND b IN ('p', 'q')",
        "CREATE INDEX i ON t ((c ->> 'k'))",
        "CREATE INDEX i ON t USING gin (c jsonb_path_ops)",
        "CREATE INDEX i ON t (a NULLS FIRST)",
    ],
)
def test_an_index_reads_the_same_from_both_sides(empty: Database, index: str) -> None:
    made, found = both(empty, f"CREATE TABLE t (a text, b text, c jsonb); {index};")
    assert made == found


def test_a_column_added_reads_the_same(empty: Database) -> None:
    ddl = (
        "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN IF NOT EXISTS b jsonb DEFAULT '{}', "
        "ADD c text NOT NULL;"
    )
    made, found = both(empty, ddl)
    assert made == found


def test_odd_names_and_schemas(empty: Database) -> None:
    schema = 'My "odd" Schema'
    empty.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))  # type: ignore[arg-type]
    ddl = (
        'CREATE TABLE "Work spaces" ("Id" uuid PRIMARY KEY);'
        'CREATE TABLE "T ""x""" ("A b" uuid REFERENCES "Work spaces" ("Id"), "select" text UNIQUE);'
        'CREATE INDEX "I x" ON "T ""x""" ("A b");'
    )
    made, found = both(empty, ddl, schema)
    assert made == found


@pytest.mark.parametrize("table", ["t" * 63, "é" * 31, "short"])
@pytest.mark.parametrize("column", ["c" * 63, "a" * 40, "ü" * 31])
def test_names_that_postgresql_chooses_are_foreseen(
    empty: Database, table: str, column: str
) -> None:
    ddl = (
        f"{WORKSPACES} CREATE TABLE {table} (id int PRIMARY KEY, {column} uuid UNIQUE "
        "REFERENCES workspaces (id));"
    )
    made, found = both(empty, ddl)
    assert made == found


@pytest.mark.parametrize(
    "other",
    [
        "a bigint",
        "a int DEFAULT 1",
        "a int NOT NULL",
        "a int UNIQUE",
        "a int CHECK (a > 0)",
        "a int, b int",
        "b int",
    ],
)
def test_another_shape_reads_otherwise(empty: Database, other: str) -> None:
    made, _ = both(empty, "CREATE TABLE t (a int);")
    empty.execute("DROP TABLE t")
    _, found = both(empty, f"CREATE TABLE t ({other});")
    assert made != found


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE t (LIKE u)",
        "CREATE TABLE t (a int) PARTITION BY RANGE (a)",
        "CREATE INDEX ON t (a)",
        "ALTER TABLE t DROP COLUMN a",
        "CREATE TABLE t (a uuid REFERENCES u)",
        "UPDATE t SET a = 1",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_what_cannot_be_told_is_said(ddl: str) -> None:
    with pytest.raises(shape.UnknownShape):
        shape.effect_of(statements(ddl)[0].node)
