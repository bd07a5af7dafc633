"""What a verify script locks keeps nobody waiting for longer than a block may."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.databases import Database
from support.projects import wait_for

from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target
from pgrunbook.run.verify import verify
from pgrunbook.runbooks.scripts import statements

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

SCRIPT = "-- check: it can be emptied\nTRUNCATE a;\n"


@pytest.mark.parametrize("limit", ["60s", "1s"])
def test_others_pass_while_it_waits_for_a_lock(empty: Database, limit: str) -> None:
    """It is tried again until it may take no longer."""
    empty.execute("CREATE TABLE a (id int)")
    with ThreadPoolExecutor(1) as pool, empty.connect() as holder, empty.connect() as other:
        holder.execute("BEGIN; INSERT INTO a VALUES (1)")
        other.execute("SET lock_timeout = '900ms'")
        with connect(Target("test", empty.url), schema="public") as conn:
            timeouts = Timeouts("150ms", limit, "1min")
            verified = pool.submit(verify, conn, "v", statements(SCRIPT), timeouts)
            waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass"
            wait_for(lambda: bool(empty.execute(waiting)))
            other.execute("INSERT INTO a VALUES (2)")  # behind it
            if limit == "60s":
                holder.execute("COMMIT")
            (result,) = verified.result(timeout=60)
    assert (result.result == "ok") is (limit == "60s"), result
    if limit == "1s":
        assert "could not be tried" in str(result.problem)
    assert empty.execute("SELECT id FROM a ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("TRUNCATE a", "public.a (AccessExclusiveLock)"),
        ("ALTER TABLE a DISABLE TRIGGER ALL", "public.a (ShareRowExclusiveLock)"),
        ("CREATE INDEX ON a (id)", "public.a (ShareLock)"),
        ("ALTER SEQUENCE s RESTART", "public.s (ShareRowExclusiveLock)"),
        ("ALTER TABLE a ADD c int, DROP COLUMN id", "public.a (AccessExclusiveLock)"),
        ("ALTER VIEW v RENAME id TO x", "public.v (AccessExclusiveLock)"),
        ("ALTER FOREIGN TABLE f ADD c int", "public.f (AccessExclusiveLock)"),
        ("CREATE TABLE b (id int REFERENCES k)", "public.k (ShareRowExclusiveLock)"),
        ("INSERT INTO a VALUES (1)", ""),
        ("CREATE TABLE b (id int PRIMARY KEY); ALTER TABLE b ADD c int; TRUNCATE b", ""),
        ("CREATE TEMP TABLE a (LIKE a INCLUDING ALL); TRUNCATE a", ""),
        ("CREATE VIEW w AS SELECT 1 AS c; ALTER VIEW w RENAME c TO d", ""),
    ],
)
def test_a_script_ends_before_it_works_on_while_others_wait(
    empty: Database, statement: str, kept: str
) -> None:
    empty.load(
        "CREATE TABLE a (id int); CREATE SEQUENCE s; CREATE VIEW v AS SELECT 1 AS id;"
        "CREATE TABLE k (id int PRIMARY KEY); CREATE FOREIGN DATA WRAPPER w;"
        "CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (id int) SERVER s"
    )
    script = f"{statement};\n-- check: it goes on\nSELECT 1;\n"
    with connect(Target("test", empty.url), schema="public") as conn:
        results = verify(conn, "v", statements(script), Timeouts("150ms", "10s", "1min"))
    assert [(each.check, each.problem and each.problem.found) for each in results] == (
        [("keeps nobody waiting", kept)] if kept else [("it goes on", None)]
    )


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT count(*) = 0 FROM a WHERE id > 1", "false"),
        ("SELECT NULL::boolean", "NULL"),
        ("SELECT true, false", "true, false"),
        ("SELECT id < 2 FROM a ORDER BY id", "1 of 2 rows; the first: false"),
        ("SELECT true FROM a WHERE id = 77", "no row"),
        ("UPDATE a SET id = 3 WHERE id = 2 RETURNING id = 2", "false"),
        ("SELECT id > 0, true FROM a", None),
        ("SELECT 1 / count(*) FROM a", None),
        ("SELECT id, false FROM a", None),
        ("SELECT id FROM a WHERE false", None),
    ],
)
def test_a_check_that_says_no_has_failed(
    empty: Database, statement: str, found: str | None
) -> None:
    empty.load("CREATE TABLE a (id int); INSERT INTO a VALUES (1), (2)")
    script = f"SELECT false;\n-- check: it holds\n{statement};\n-- check: next\nSELECT true;\n"
    with connect(Target("test", empty.url), schema="public") as conn:
        result, other = verify(conn, "v", statements(script), Timeouts("150ms", "10s", "1min"))
    assert (result.problem and result.problem.found) == found
    assert other.result == "ok"


@pytest.mark.parametrize(
    "sets",
    [
        "SET LOCAL search_path = public, other",
        'SET LOCAL search_path = "$user", public',
        "SELECT set_config('search_path', current_setting('search_path') || ', other', true)",
        "DO $$ BEGIN SET LOCAL search_path = public, other; END $$",
    ],
)
def test_a_script_with_a_path_of_its_own_sees_no_shadows(empty: Database, sets: str) -> None:
    """What whoever may create there has made is not called with our rights."""
    empty.load(
        "CREATE ROLE lesser_of_verify; CREATE SCHEMA other; CREATE SCHEMA postgres;"
        "GRANT USAGE, CREATE ON SCHEMA other, postgres TO lesser_of_verify;"
        "SET ROLE lesser_of_verify;"
        "CREATE FUNCTION other.upper(varchar) RETURNS text LANGUAGE plpgsql"
        " AS 'BEGIN RAISE ''called''; END';"
        "CREATE FUNCTION postgres.upper(varchar) RETURNS text LANGUAGE plpgsql"
        " AS 'BEGIN RAISE ''called''; END'; RESET ROLE"
    )
    script = (
        f"{sets};\n\n-- check: letters\nDO $$ BEGIN ASSERT upper('a'::varchar) = 'A'; END $$;\n"
    )
    try:
        with connect(Target("test", empty.url), schema="public") as conn:
            timeouts = Timeouts("150ms", "10s", "1min")
            (result,) = verify(conn, "v", statements(script), timeouts)
        assert result.problem
        assert "called" not in str(result.problem)
        assert re.search(r"(other|postgres)\.upper|\{public,other\}", str(result.problem))
    finally:
        empty.load("DROP OWNED BY lesser_of_verify; DROP ROLE lesser_of_verify")
