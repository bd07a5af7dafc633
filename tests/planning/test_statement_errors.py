"""What PostgreSQL refuses is refused before anything is changed; what it takes is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support import databases
from support.databases import Database

from pgrunbook.planning import grammar, statement_errors
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source

# The problems of blocks that are to run one after the other.
Foresee = Callable[..., list[str]]


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as database:
        yield database


@pytest.fixture
def foresee(database: Database, tmp_path: Path) -> Foresee:
    def foreseen_of(*blocks: str) -> list[str]:
        decided = []
        for number, sql in enumerate(blocks, 1):
            path = tmp_path / "deploy" / f"{number:03}_change.sql"
            path.parent.mkdir(exist_ok=True)
            alone = "-- transaction: no\n" if "CONCURRENTLY" in sql else ""
            path.write_text(f"-- title: Change\n{alone}\n{sql};\n")
        source = Source.read(tmp_path)
        for name in source.plain_blocks():
            block = source.block(name, {})
            run = tuple(range(len(block.statements)))
            decided.append(Decision(block, Action.APPLY, "absent", run))
        for path in tmp_path.glob("deploy/*"):
            path.unlink()
        with connect(
            Target("test", database.conninfo), schema="public", label="test", read_only=True
        ) as conn:
            results = [*grammar.check(conn, decided), *statement_errors.check(conn, decided)]
        problems = [result.problem for result in results if result.problem]
        assert all(problem.remedy and problem.expected for problem in problems)
        return [f"{problem.where}: {problem.what}" for problem in problems]

    return foreseen_of


def refusal(database: Database, *blocks: str) -> str:
    """What PostgreSQL says of the blocks, each in a transaction of its own; empty if it takes
    them.
    """
    try:
        for sql in blocks:
            with database.connect() as conn:
                conn.execute(sql)
    except psycopg.Error as exc:
        return str(exc.diag.message_primary)
    return ""


# -- partitioned tables

PARTITIONED = """
CREATE TABLE u (id int PRIMARY KEY);
CREATE TABLE t (id int, u int) PARTITION BY LIST (id);
CREATE TABLE p PARTITION OF t FOR VALUES IN (1);
CREATE INDEX i ON t (u)
"""


@pytest.mark.parametrize(
    ("sql", "foretold"),
    [
        ("CREATE INDEX CONCURRENTLY j ON t (id)", "t is partitioned, and takes no CONCURRENTLY"),
        ("DROP INDEX CONCURRENTLY i", "i is partitioned, and takes no CONCURRENTLY"),
        ("CREATE INDEX CONCURRENTLY j ON p (id)", ""),
        ("REINDEX TABLE CONCURRENTLY t", ""),
        ("ALTER TABLE p ADD FOREIGN KEY (u) REFERENCES u NOT VALID", ""),
        ("ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u", ""),
    ],
)
def test_concurrently_is_not_for_partitioned_tables(
    database: Database, foresee: Foresee, sql: str, foretold: str
) -> None:
    database.load(PARTITIONED)
    found = foresee(sql)
    assert [text.partition(": ")[2] for text in found] == ([foretold] if foretold else [])
    assert bool(refusal(database, sql)) == bool(foretold)


def test_a_foreign_key_of_a_partitioned_table_is_valid_before_18(
    database: Database, foresee: Foresee
) -> None:
    database.load(PARTITIONED)
    key = "ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u NOT VALID"
    made_before = "CREATE TABLE s (id int, u int) PARTITION BY LIST (id)"
    found = [*foresee(key), *foresee(made_before, key.replace(" t ", " s "))]
    if refusal(database, key):
        assert [
            re.findall(r"(\w) is partitioned, and takes no foreign key", text) for text in found
        ] == [["t"], ["s"]]
    else:
        assert found == []


# -- grammar

NEWER = [
    "CREATE TABLE a (x int, y int GENERATED ALWAYS AS (x) VIRTUAL)",
    "CREATE TABLE b (x int); ALTER TABLE b ADD CONSTRAINT k NOT NULL x NOT VALID",
    "CREATE TABLE c (x int CHECK (x > 0) NOT ENFORCED)",
    "CREATE TABLE d (x int, y int, UNIQUE (x, y WITHOUT OVERLAPS))",
    "SELECT JSON_SCALAR(1)",
    "CREATE TABLE e (x text STORAGE EXTERNAL)",
    "SELECT 1_000",
    "CREATE TABLE f (x int, UNIQUE NULLS NOT DISTINCT (x))",
    "INSERT INTO g VALUES (1) RETURNING WITH (OLD AS o) o.*",
    "CREATE TABLE h (x int)",
    "DO $grammar$ BEGIN END $grammar$",
    "COMMENT ON SCHEMA public IS 'it''s; \\ $$ /* -- '",
    "CREATE TABLE \"quoted; name\" (x int)",
]  # fmt: skip


def test_words_that_the_server_lacks_are_told(database: Database, foresee: Foresee) -> None:
    """Each by itself, all at once, and nothing is executed: PostgreSQL's own syntax errors are the
    judge.
    """
    expected = []
    for number, sql in enumerate(NEWER, 1):
        try:
            database.execute(f"SELECT 1; {sql}; pgrunbook_ends_here")
        except psycopg.errors.SyntaxError as exc:
            if "pgrunbook_ends_here" not in str(exc.diag.message_primary):
                expected.append(f"deploy/{number:03}_change.sql")
    found = foresee(*NEWER)
    assert [text.partition(":")[0] for text in found] == expected
    assert all("cannot be parsed by PostgreSQL" in text for text in found)
    tables = database.execute("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert tables == []


def test_where_plpgsql_may_not_be_used_it_is_not_asked(
    database: Database, foresee: Foresee
) -> None:
    database.execute("DROP EXTENSION plpgsql")
    assert foresee("CREATE TABLE h (x int)") == []


# -- enums

MOODS = """
CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE people (id int, mood mood, note text);
CREATE TABLE notes (note text)
"""
ADD = "ALTER TYPE mood ADD VALUE 'glad'"


@pytest.mark.parametrize(
    ("blocks", "refused"),
    [
        ([f"{ADD}; INSERT INTO people VALUES (1, 'glad')"], True),
        ([f"{ADD}; UPDATE people SET mood = 'glad'"], True),
        ([f"{ADD}; ALTER TABLE people ALTER mood SET DEFAULT 'glad'"], True),
        ([f"{ADD}; CREATE TABLE more (mood mood DEFAULT 'glad')"], True),
        ([f"{ADD}; CREATE VIEW v AS SELECT 'glad'::mood"], True),
        (["CREATE TABLE more (mood mood)", f"{ADD}; INSERT INTO more VALUES ('glad')"], True),
        ([ADD, "INSERT INTO people VALUES (1, 'glad')"], False),
        ([f"{ADD}; INSERT INTO notes VALUES ('glad')"], False),
        ([f"{ADD}; INSERT INTO people VALUES (1, 'sad')"], False),
        ([f"INSERT INTO people VALUES (1, 'sad', 'glad'); {ADD}"], False),
        (["CREATE TYPE m AS ENUM ('a'); ALTER TYPE m ADD VALUE 'b'; CREATE TABLE x (m m DEFAULT 'b')"], None),
        (["ALTER TYPE mood RENAME VALUE 'sad' TO 'glad'; INSERT INTO people VALUES (1, 'glad')"], False),
    ],
)  # fmt: skip
def test_a_new_label_is_used_in_another_transaction(
    database: Database, foresee: Foresee, blocks: list[str], refused: bool | None
) -> None:
    """None: it is up to the version."""
    database.load(MOODS)
    found = foresee(*blocks)
    judged = bool(refusal(database, *blocks))
    assert judged == (judged if refused is None else refused)
    assert [
        bool(re.search(r"uses '\w+', which its own block adds to", text)) for text in found
    ] == ([True] * judged)


# -- names

LONG = "a" * 63


@pytest.mark.parametrize(
    ("blocks", "refused"),
    [
        ([f"CREATE TABLE {LONG}x (c int)", f"CREATE TABLE {LONG}y (c int)"], True),
        ([f"CREATE TABLE t (c int); CREATE INDEX {LONG}x ON t (c); CREATE INDEX {LONG}y ON t (c)"], True),
        ([f"CREATE TABLE t ({LONG}x int, {LONG}y int)"], True),
        ([f"CREATE TABLE t (c int, CONSTRAINT {LONG}x CHECK (c > 0), CONSTRAINT {LONG}y CHECK (c > 1))"], True),
        (["CREATE TABLE t (c int)", f"ALTER TABLE t ADD {LONG}x int", f"ALTER TABLE t ADD \"{LONG}y\" int"], True),
        ([f"CREATE TABLE t ({LONG}x int); CREATE TABLE u ({LONG}y int)"], False),
        ([f"CREATE TABLE {LONG}x (c int)", f"DROP TABLE {LONG}x", f"CREATE TABLE {LONG}y (c int)"], False),
        ([f"CREATE TABLE {LONG}x (c int)", f"ALTER TABLE {LONG}x RENAME TO t", f"CREATE TABLE {LONG}y (c int)"], False),
        ([f"CREATE TABLE t ({LONG}x int, CONSTRAINT {LONG}y CHECK ({LONG}x > 0))"], False),
        ([f"CREATE TABLE {LONG[:-2]}é1 (c int)", f"CREATE TABLE {LONG[:-2]}è1 (c int)"], False),
        ([f"CREATE TABLE {LONG[:-1]}é (c int)", f"CREATE TABLE {LONG[:-1]}è (c int)"], True),
    ],
)  # fmt: skip
def test_two_names_that_are_one_in_63_bytes(
    database: Database, foresee: Foresee, blocks: list[str], refused: bool
) -> None:
    found = foresee(*blocks)
    assert bool(refusal(database, *blocks)) == refused
    assert bool(found) == refused, found


# -- replica identities


@pytest.mark.parametrize(
    ("there", "sql", "refused"),
    [
        ("CREATE PUBLICATION p FOR TABLE t", "DELETE FROM t", True),
        ("CREATE PUBLICATION p FOR TABLE t", "UPDATE t SET c = 1", True),
        ("CREATE PUBLICATION p FOR ALL TABLES", "UPDATE t SET c = 1", True),
        ("CREATE PUBLICATION p FOR TABLES IN SCHEMA public", "DELETE FROM t", True),
        ("CREATE PUBLICATION p FOR TABLE parted", "DELETE FROM parted", True),
        ("CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert')", "DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE t WITH (publish = 'update')", "DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE t", "INSERT INTO t VALUES (1)", False),
        ("CREATE PUBLICATION p FOR TABLE t; ALTER TABLE t REPLICA IDENTITY FULL", "DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE t; ALTER TABLE t ADD PRIMARY KEY (c)", "DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE t; ALTER TABLE t ADD PRIMARY KEY (c), REPLICA IDENTITY NOTHING", "DELETE FROM t", True),
        ("ALTER TABLE t SET UNLOGGED; CREATE PUBLICATION p FOR ALL TABLES", "DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE t", "ALTER TABLE t REPLICA IDENTITY FULL; DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE t", "DROP PUBLICATION p; DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE keyed", "DELETE FROM t", False),
        ("CREATE PUBLICATION p FOR TABLE keyed", "DELETE FROM keyed", False),
    ],
)  # fmt: skip
def test_rows_of_a_published_table_have_an_identity(
    database: Database, foresee: Foresee, there: str, sql: str, refused: bool
) -> None:
    database.load(
        "CREATE TABLE t (c int); CREATE TABLE keyed (c int PRIMARY KEY);"
        "CREATE TABLE parted (c int) PARTITION BY LIST (c); CREATE TABLE one PARTITION OF parted FOR VALUES IN (1);"
        "INSERT INTO t VALUES (1); INSERT INTO parted VALUES (1)"
    )
    database.load(there)
    found = foresee(sql)
    assert bool(refusal(database, sql)) == refused
    assert bool(found) == refused, found


# -- extensions


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("CREATE EXTENSION unheard_of", True),
        ("CREATE EXTENSION IF NOT EXISTS unheard_of", True),
        ("CREATE EXTENSION IF NOT EXISTS plpgsql", False),
    ],
)
def test_an_extension_is_one_that_the_server_has(
    database: Database, foresee: Foresee, sql: str, refused: bool
) -> None:
    assert bool(foresee(sql)) == refused
    assert bool(refusal(database, sql)) == refused
