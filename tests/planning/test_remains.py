"""What is left to do of a block outside a transaction that was begun, as the catalog says it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.databases import Database

from pgrunbook.ledger.ledger import Start
from pgrunbook.planning.remains import Remains, find_half_done, find_remains, is_detaching
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.source import Source

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

TABLES = """
CREATE TABLE t (a int, b int);
CREATE TABLE other (a int);
CREATE TABLE history (at date) PARTITION BY RANGE (at);
CREATE TABLE of_2025 PARTITION OF history FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
"""
TWO = (
    "CREATE INDEX CONCURRENTLY i ON t (a);"
    " CREATE INDEX CONCURRENTLY j ON t (b); COMMENT ON INDEX i IS 'x'"
)
BOTH = [statement.strip("; ") for statement in TWO.split(";")[:2]]
INVALID = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"
PENDING = "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'of_2025'::regclass"
DETACH = "ALTER TABLE history DETACH PARTITION of_2025 CONCURRENTLY"


Before = Sequence[tuple[str, ...]]


def block(folder: Path, sql: str) -> Block:
    (folder / "deploy").mkdir()
    header = "-- title: t\n-- why: w\n-- transaction: no\n\n"
    (folder / "deploy" / "010_t.sql").write_text(f"{header}{sql};\n")
    return Source.read(folder).block("010_t", {})


def left(
    database: Database, made: Block, *begun: str, done: str = "", before: Before = ()
) -> Remains:
    database.load(TABLES + done)
    with connect(Target("test", database.url), schema="public", read_only=True) as conn:
        return find_remains(conn, made, begun, before)


def test_of_which_nothing_is_there_all_is_left(empty: Database, tmp_path: Path) -> None:
    assert left(empty, block(tmp_path, TWO), *BOTH) == Remains((0, 1, 2))


def test_an_index_of_the_block_is_done_and_a_comment_is_not_known(
    empty: Database, tmp_path: Path
) -> None:
    found = left(empty, block(tmp_path, TWO), *BOTH, done="CREATE INDEX i ON t (a)")
    assert (found.statements, found.indexes, found.problems) == ((1, 2), (("public", "i"),), ())


def test_an_index_that_is_not_valid_is_made_anew(empty: Database, tmp_path: Path) -> None:
    done = f"CREATE INDEX i ON t (a); {INVALID.format('i')}"
    found = left(empty, block(tmp_path, TWO), *BOTH, done=done)
    assert (found.statements, found.indexes) == ((0, 1, 2), ())
    assert (found.broken, found.repairs) == (
        ("index public.i on t",),
        ('DROP INDEX CONCURRENTLY "i"',),
    )


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ("CREATE INDEX j ON t (a)", "index public.j on t"),  # whose statement was not begun
        ("CREATE INDEX i ON other (a)", "index public.i on other"),
    ],
)
def test_what_no_run_has_made_is_not_taken_for_the_blocks(
    empty: Database, tmp_path: Path, done: str, said: str
) -> None:
    made = block(tmp_path, f"{TWO}; COMMENT ON TABLE other IS 'x'")
    found = left(empty, made, BOTH[0], done=done)
    assert [problem.what for problem in found.problems] == [
        f"{said} is there, and no run has made it"
    ]
    assert found.problems[0].remedy.startswith("DROP INDEX CONCURRENTLY ")


def test_what_was_there_before_the_block_is_known(empty: Database, tmp_path: Path) -> None:
    made, there = block(tmp_path, TWO), "CREATE INDEX j ON t (b)"
    found = left(empty, made, BOTH[0], done=there, before=[("public", "j")])
    assert (found.statements, found.problems) == ((0, 2), ())


@pytest.mark.parametrize("began", [False, True])
def test_copies_that_reindex_left_are_ours_if_a_run_began(
    empty: Database, tmp_path: Path, began: bool
) -> None:
    done = f"CREATE INDEX own_ccnew ON t (a); {INVALID.format('own_ccnew')}"
    made = block(tmp_path, "REINDEX TABLE CONCURRENTLY t")
    empty.load(TABLES + done)
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        found = find_remains(conn, made, [] if began else None)
    assert found.statements == (0,)
    assert found.repairs == (('DROP INDEX CONCURRENTLY "own_ccnew"',) if began else ())


@pytest.mark.parametrize(("done", "statements"), [("", ()), ("CREATE INDEX i ON t (a)", (0,))])
def test_an_index_that_is_gone_is_not_dropped_again(
    empty: Database, tmp_path: Path, done: str, statements: tuple[int, ...]
) -> None:
    made = block(tmp_path, "DROP INDEX CONCURRENTLY i")
    assert left(empty, made, done=done).statements == statements


@pytest.mark.parametrize(
    ("done", "statements", "broken"),
    [
        ("", (0,), ()),
        (PENDING, (0,), ("partition public.of_2025 of history",)),
        ("ALTER TABLE history DETACH PARTITION of_2025", (), ()),
    ],
)
def test_a_partition_is_detached_until_it_is_none(
    empty: Database, tmp_path: Path, done: str, statements: tuple[int, ...], broken: tuple[str, ...]
) -> None:
    made = block(tmp_path, DETACH)
    found = left(empty, made, done=done)
    assert (found.statements, found.broken, found.repairs) == (statements, broken, ())
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        assert is_detaching(conn, made, "of_2025") is bool(broken)
        assert find_half_done(conn, made) == list(broken)


def test_names_that_are_quoted_and_in_another_schema(empty: Database, tmp_path: Path) -> None:
    sql = 'CREATE INDEX CONCURRENTLY "I x" ON "S 1"."T""x" (a)'
    done = 'CREATE SCHEMA "S 1"; CREATE TABLE "S 1"."T""x" (a int); CREATE INDEX "I x" ON "S 1"."T""x" (a);'
    found = left(empty, block(tmp_path, sql), sql, done=done + INVALID.format('"S 1"."I x"'))
    assert (found.statements, found.repairs) == ((0,), ('DROP INDEX CONCURRENTLY "S 1"."I x"',))


@pytest.mark.parametrize(
    ("valid", "finished", "statements", "repairs", "problems"),
    [
        (False, False, (0,), ('DROP INDEX CONCURRENTLY "t_a_idx1"',), 0),
        (True, False, (), (), 1),
        (True, True, (), (), 0),
    ],
)
def test_an_index_without_a_name_is_found_by_when_it_was_made(
    empty: Database,
    tmp_path: Path,
    valid: bool,
    finished: bool,
    statements: tuple[int, ...],
    repairs: tuple[str, ...],
    problems: int,
) -> None:
    sql = "CREATE INDEX CONCURRENTLY ON t (a)"
    empty.load(f"{TABLES}; CREATE INDEX ON t (a)")  # of before
    empty.load("CREATE TABLE begun ()")
    empty.load(f"CREATE INDEX ON t (a); {'' if valid else INVALID.format('t_a_idx1')}")
    ((age,),) = empty.execute("SELECT age(xmin) FROM pg_class WHERE relname = 'begun'")
    made = block(tmp_path, sql)
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        found = find_remains(conn, made, [sql], starts={sql: Start(age, finished)})
    assert (found.statements, found.repairs) == (statements, repairs)
    assert len(found.problems) == problems
