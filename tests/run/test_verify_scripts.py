"""What a verify script locks keeps nobody waiting for longer than a block may."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from support.databases import Database
from support.projects import Project, wait_for

from pgrunbook.planning.checks import CheckResult
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


@contextmanager
def verifying(
    database: Database, pool: ThreadPoolExecutor, script: str, timeouts: Timeouts
) -> Iterator[Future[list[CheckResult]]]:
    target = Target("test", database.url)
    with connect(target, schema="public") as work, connect(target, schema="public") as look:
        yield pool.submit(verify, work, look, "v", statements(script), timeouts)


@pytest.mark.parametrize("limit", ["60s", "1s"])
def test_others_pass_while_it_waits_for_a_lock(empty: Database, limit: str) -> None:
    """It is tried again until it may take no longer."""
    empty.execute("CREATE TABLE a (id int)")
    with ThreadPoolExecutor(1) as pool, empty.connect() as holder, empty.connect() as other:
        holder.execute("BEGIN; INSERT INTO a VALUES (1)")
        other.execute("SET lock_timeout = '900ms'")
        with verifying(empty, pool, SCRIPT, Timeouts("150ms", limit, "1min")) as verified:
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


LOCKS = [
    ("SELECT FROM a WHERE id = 1 FOR UPDATE", "UPDATE a SET id = 1 WHERE id = 1"),
    ("UPDATE a SET id = 2 WHERE id = 1", "SELECT FROM a WHERE id = 1 FOR SHARE"),
    ("DROP TABLE a", "SELECT FROM a"),
    ("ALTER TABLE a ADD c int, DROP COLUMN id", "SELECT FROM a"),
    ("CREATE TABLE b (id int REFERENCES k)", "INSERT INTO k VALUES (7) ON CONFLICT DO NOTHING"),
    ("SELECT pg_advisory_xact_lock(7)", "SELECT pg_advisory_xact_lock(7)"),
    (
        "DO $$ BEGIN LOCK a; PERFORM pg_sleep(9); EXCEPTION WHEN query_canceled THEN NULL; END $$",
        "SELECT FROM a",
    ),
]
MADE = "CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE TABLE k (id int PRIMARY KEY)"


@pytest.mark.parametrize(("statement", "asked"), LOCKS)
def test_whoever_waits_for_what_it_has_locked_does_not_wait_for_its_end(
    empty: Database, statement: str, asked: str
) -> None:
    empty.load(MADE)
    script = f"{statement};\n-- check: it works on\nSELECT pg_sleep(9);\n"
    waits: list[float] = []
    with ThreadPoolExecutor(1) as pool, empty.connect(application_name="shop") as shop:
        with verifying(empty, pool, script, Timeouts("300ms", "2s", "1min")) as verified:
            while not verified.done():
                start = time.monotonic()
                shop.execute(asked.encode())
                waits.append(time.monotonic() - start)
        (result,) = verified.result()
    assert result.problem
    assert "others would have waited" in result.problem.what
    assert re.fullmatch(r"pid \d+ \(shop, postgres\), waited for us", result.problem.found)
    assert 0.15 < max(waits) < 0.6


@pytest.mark.parametrize("statement", [statement for statement, _ in LOCKS[:-1]])
def test_what_nobody_waits_for_it_may_lock(empty: Database, statement: str) -> None:
    empty.load(MADE)
    script = f"{statement};\n-- check: it goes on\nSELECT pg_sleep(0.1);\n"
    with (
        ThreadPoolExecutor(1) as pool,
        verifying(empty, pool, script, Timeouts("150ms", "10s", "1min")) as verified,
    ):
        (result,) = verified.result()
    assert result.problem is None
    assert empty.execute("SELECT id FROM a") == [(1,)]


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
    with (
        ThreadPoolExecutor(1) as pool,
        verifying(empty, pool, script, Timeouts("150ms", "10s", "1min")) as verified,
    ):
        result, other = verified.result()
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
        with (
            ThreadPoolExecutor(1) as pool,
            verifying(empty, pool, script, Timeouts("150ms", "10s", "1min")) as verified,
        ):
            (result,) = verified.result()
        assert result.problem
        assert "called" not in str(result.problem)
        assert re.search(r"(other|postgres)\.upper|\{public,other\}", str(result.problem))
    finally:
        empty.load("DROP OWNED BY lesser_of_verify; DROP ROLE lesser_of_verify")


def test_a_script_looks_along_the_path_of_its_header(empty: Database, project: Project) -> None:
    assert project.command("new", "tenants").code == 0
    sql = project.root / "sql" / "003_tenants"
    header = "-- title: In another schema\n-- why: It is tried.\n-- search_path: other\n\n"
    (sql / "deploy/010_tenants.sql").write_text(f"{header}CREATE TABLE t (id int);\n")
    (sql / "revert/010_tenants.sql").write_text(f"{header}DROP TABLE t;\n")
    script = sql / "verify/010_tenants.sql"
    script.write_text(f"{header}-- check: it is empty\nSELECT count(*) = 0 FROM t;\n")
    project.apply_all("003_tenants")
    empty.load("CREATE SCHEMA other")
    project.env["CRM_URL"] = empty.url
    run = ("run", "003_tenants", "--target", "env:CRM_URL")
    done = project.command(*run)
    assert done.code == 0, done.text
    script.write_text(script.read_text().replace("-- search_path: other\n", ""))
    done = project.command(*run)
    assert done.code == 1, done.text
    assert 'relation "t" does not exist' in done.text
