"""Batches are cut by keys of any type that has an order: the result is that of one big statement."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.backfilling import Backfilling
from support.databases import Database
from support.projects import wait_for

from pgrunbook.planning import batch_keys
from pgrunbook.planning.decisions import Action
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

TYPES = """
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN code AS text CHECK (value <> '') NOT NULL;
"""


class Case(NamedTuple):
    """The columns of a key, and the texts of its values, a list for each row."""

    columns: str
    rows: Sequence[Sequence[str]]


def texts(**options: int) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.one_of(
        st.sampled_from(["'", "\\", ":to", "E'\\'", '"', "a\nb", "a10", "a9", "$1", "%s", "--"]),
        st.text(characters, **options),
    )


moments = st.datetimes().map(lambda at: f"{at.isoformat()}+00")
TYPED: dict[str, st.SearchStrategy[str]] = {
    "id int": st.integers(-(2**31), 2**31 - 1).map(str),
    "id bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "id uuid": st.uuids().map(str),
    "id text": texts(max_size=5),
    'id text COLLATE "C"': texts(max_size=5),
    "id char(3)": texts(max_size=3).filter(lambda text: len(text) <= 3),
    "id timestamptz": st.one_of(moments, st.sampled_from(["infinity", "-infinity"])),
    "id interval": st.integers(-(10**9), 10**9).map(lambda n: f"{n} seconds"),
    "id numeric": st.one_of(
        st.decimals(-(10**20), 10**20, places=3).map(str), st.sampled_from(["1.0", "1", "NaN"])
    ),
    "id numeric(6, 2)": st.integers(-9999, 9999).map(str),
    "id double precision": st.floats().map(str),
    "id bytea": st.binary(max_size=4).map(lambda b: f"\\x{b.hex()}"),
    "id mood": st.sampled_from(["sad", "ok", "happy"]),
    "id code": texts(min_size=1, max_size=3).filter(bool),
    "id int[]": st.lists(st.integers(0, 3), max_size=3).map(
        lambda n: f"{{{','.join(map(str, n))}}}"
    ),
    "id jsonb": st.integers(0, 99).map(lambda n: f'{{"a": {n}}}'),
    "id int4range": st.integers(0, 99).map(lambda n: f"[{n},{n + 5})"),
    "id pair": st.integers(0, 99).map(lambda n: f'({n % 3},"x{n}")'),
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    columns = draw(st.sampled_from([*TYPED, *TYPED, "two"]))
    if columns != "two":
        return Case(columns, draw(st.lists(st.tuples(TYPED[columns]), max_size=12)))
    first, second = draw(st.sampled_from(["id int", "id uuid"])), draw(st.sampled_from([*TYPED]))
    few = draw(st.lists(TYPED[first], min_size=1, max_size=3))
    rows = st.tuples(st.sampled_from(few), TYPED[second])
    return Case(f"{first}, {second.replace('id ', 'other ')}", draw(st.lists(rows, max_size=12)))


@settings(max_examples=30, deadline=None, suppress_health_check=[*HealthCheck])
@given(case=cases(), rows=st.integers(1, 5))
def test_the_result_is_that_of_one_statement(
    empty: Database, tmp_path: Path, case: Case, rows: int
) -> None:
    columns = [part.split(" ")[0] for part in case.columns.split(", ") if " " in part]
    columns = ["id", "other"] if "other" in case.columns else ["id"]
    key = ", ".join(columns)
    with empty.connect() as conn:
        conn.execute("DROP SCHEMA IF EXISTS pgrunbook CASCADE; DROP SCHEMA public CASCADE")
        conn.execute(f"CREATE SCHEMA public; {TYPES}".encode())
        conn.execute(
            f"CREATE TABLE t ({case.columns}, n int DEFAULT 0, PRIMARY KEY ({key}))".encode()
        )
        places = ", ".join(["%s"] * len(columns))
        for row in case.rows:
            conn.execute(f"INSERT INTO t VALUES ({places}) ON CONFLICT DO NOTHING".encode(), row)
    named = f"({key})" if len(columns) > 1 else key
    backfill = Backfilling(
        empty,
        tmp_path,
        f"UPDATE t SET n = n + 1 WHERE {named} > :from AND {named} <= :to",
        f"batch: t by {key}; {rows} rows",
    )
    assert backfill()
    ((there, once),) = empty.execute("SELECT count(*), count(*) FILTER (WHERE n = 1) FROM t")
    assert there == once
    assert sum(row[2] for row in backfill.batches()) == there  # type: ignore[misc]
    assert len(backfill.batches()) in (-(-there // rows), there // rows + 1)
    assert backfill.gaps() == []
    wait_for(lambda: not _holds_locks(empty))
    assert backfill() is None
    wait_for(lambda: not _holds_locks(empty))


def _holds_locks(database: Database) -> bool:
    """Whether a run holds its locks: the server ends a session a moment after it was closed."""
    held = "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory'"
    return bool(database.execute(f"{held} AND datname = current_database()"))


def test_who_writes_meanwhile_disturbs_nothing(empty: Database, tmp_path: Path) -> None:
    empty.load(
        "CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0, m int DEFAULT 0);"
        "INSERT INTO t SELECT g * 2 FROM generate_series(1, 3000) g"
    )
    over = threading.Event()

    def write(seed: int) -> None:
        with empty.connect() as conn:
            while not over.is_set():
                conn.execute("UPDATE t SET m = m + 1 WHERE id = 2 * (random() * 3000)::int")
                conn.execute("INSERT INTO t SELECT (random() * 7000)::int ON CONFLICT DO NOTHING")
                conn.execute(
                    "DELETE FROM t WHERE id = 2 * (random() * 3000)::int AND m = %s", [seed]
                )

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(2)]
    for writer in writers:
        writer.start()
    try:
        done = Backfilling(empty, tmp_path, header="batch: t by id; 100 rows")()
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert done
    assert empty.execute(
        "SELECT max(n), count(*) FILTER (WHERE n = 0 AND id % 2 = 0 AND m > 1) FROM t"
    )
    assert empty.execute("SELECT max(n) FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        ("id int PRIMARY KEY", "id", ""),
        ("id int NOT NULL, UNIQUE (id)", "id", ""),
        ("a int, b int, PRIMARY KEY (a, b)", "a, b", ""),
        ("a int, b int, PRIMARY KEY (a, b)", "b, a", "(b, a) is no unique key"),
        ("a int, b int, PRIMARY KEY (a, b)", "a", "(a) is no unique key"),
        ("id int UNIQUE", "id", "id may be NULL"),
        ("id int NOT NULL UNIQUE DEFERRABLE", "id", "(id) is no unique key"),
        ("id int NOT NULL, EXCLUDE USING btree (id WITH =)", "id", "(id) is no unique key"),
        ("id text NOT NULL", "id", "(id) is no unique key"),
        ("id int PRIMARY KEY", "name", "has no column name"),
    ],
)
def test_what_is_no_key_is_refused(
    empty: Database, tmp_path: Path, table: str, key: str, said: str
) -> None:
    empty.load(
        f"CREATE TABLE t ({table}, n int);"
        + ("CREATE UNIQUE INDEX ON t (id text_pattern_ops)" if "text" in table else "")
    )
    names = key if ", " not in key else f"({key})"
    sql = f"UPDATE t SET n = 1 WHERE {names} > :from AND {names} <= :to"
    backfill = Backfilling(empty, tmp_path, sql, f"batch: t by {key}")
    sessions = Sessions(Target("test", empty.url), "public", "test")
    decision = backfill.decide(backfill.agenda(sessions))
    assert decision.action is Action.APPLY
    results = batch_keys.check(batch_keys.find_keys(sessions.look, [decision]), [decision])
    sessions.close()
    assert said in "; ".join(result.problem.what for result in results if result.problem)
    assert bool(said) == any(result.problem for result in results)


def test_a_key_that_a_block_before_makes_is_looked_for_when_its_turn_comes(
    empty: Database, tmp_path: Path
) -> None:
    empty.load("CREATE TABLE t (id int, n int)")
    backfill = Backfilling(empty, tmp_path, header="batch: t by id")
    (tmp_path / "deploy").mkdir()
    key = tmp_path / "deploy" / "005_key.sql"
    key.write_text("-- title: A key\n-- why: A test.\nALTER TABLE t ADD PRIMARY KEY (id);\n")
    with closing(Sessions(Target("test", empty.url), "public", "test")) as sessions:
        agenda = backfill.agenda(sessions)
        first, second = agenda.decide_now(agenda.blocks())
        keys = batch_keys.find_keys(sessions.look, [first, second])
        (found,) = batch_keys.check(keys, [first, second])
        assert found.problem is None
        assert "a block before it may change that" in found.not_run
        (refused,) = batch_keys.check(keys, [second])
        assert refused.problem
