"""A text becomes the value that psql would make of it (I7), whatever the database says of dates,
times and intervals: in a block, in what it calls, in batches, outside a transaction, and on a twin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import sql
from support import databases
from support.databases import Database
from support.projects import Project

from pgrunbook.planning import server_checks
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

SETTINGS = {
    "timezone": "Europe/Berlin",
    "datestyle": "ISO, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "0",
}
THERE = """\
CREATE TABLE events (id int PRIMARY KEY, at timestamp NOT NULL, stamped timestamptz, note text);
INSERT INTO events SELECT n, '2026-07-01 12:00' FROM generate_series(1, 20) AS n;
"""
BLOCKS = {
    "010_plain": "ALTER TABLE events ALTER COLUMN at TYPE timestamptz;\n"
    "CREATE TABLE bookings (id int PRIMARY KEY, since timestamptz DEFAULT '2026-07-01 00:00',"
    " day date DEFAULT '02/03/2026', before interval DEFAULT '-1 2:03:04');\n"
    "INSERT INTO bookings VALUES (1);\n",
    "020_code": "CREATE FUNCTION told() RETURNS text LANGUAGE sql SET timezone FROM CURRENT"
    " AS $$ SELECT '2026-07-01 10:00+00'::timestamptz::text $$;\n"
    "DO $$ BEGIN INSERT INTO bookings VALUES (2, '2026-01-01', '04/05/2026', '-1 2:03:04'); END $$;\n"
    "UPDATE events SET note = id / 3.0::float8 || ' ' || '-1 2:03:04'::interval WHERE id < 5;\n",
    "030_batches": "-- batch: events by id; 5 rows\n"
    "UPDATE events SET stamped = '2026-07-01' WHERE id > :from AND id <= :to;\n",
    "040_alone": "-- transaction: no\n"
    "CREATE INDEX CONCURRENTLY events_old ON events (id) WHERE at < '2026-07-01 12:00';\n",
}
RUNBOOK = "003_values"
VALUES = (
    "SELECT extract(epoch FROM at), extract(epoch FROM stamped), note FROM events ORDER BY id",
    "SELECT id, extract(epoch FROM since), day - '2000-01-01', extract(epoch FROM before)"
    " FROM bookings ORDER BY id",
)


PASSED, REFUSED = 0, 2


@contextmanager
def told(server: Server) -> Iterator[Database]:
    """A database that says itself how values are read."""
    with databases.temporary(server) as database:
        for name, value in SETTINGS.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            database.execute(statement.format(*map(sql.Identifier, (database.name, name)), value))
        database.load(THERE)
        yield database


@pytest.fixture
def target(server: Server) -> Iterator[Database]:
    with told(server) as database:
        yield database


@pytest.fixture
def by_hand(server: Server, deploy: Path) -> Iterator[Database]:
    """What psql makes of the files."""
    with told(server) as database:
        for path in sorted(deploy.glob("*.sql")):
            database.psql("-v", "from=0", "-v", "to=20", "-f", path)
        yield database


@pytest.fixture
def deploy(project: Project) -> Path:
    """The blocks of the runbook. Its one verify script reads a date, too."""
    folder = project.root / "sql" / RUNBOOK
    assert project.command("new", "values").code == PASSED
    for path in folder.rglob("*.sql"):
        path.unlink()
    for name, text in BLOCKS.items():
        (folder / "deploy" / f"{name}.sql").write_text(f"-- title: T\n-- why: W.\n{text}")
    (folder / "verify" / "010_plain.sql").write_text(
        "-- title: Bookings\n\n-- check: the day comes first\n"
        "DO $$ BEGIN ASSERT '02/03/2026'::date = '2026-03-02'; END $$;\n"
    )
    project.apply_all(RUNBOOK)
    return folder / "deploy"


def test_a_run_makes_the_values_that_psql_makes(
    target: Database, by_hand: Database, project: Project
) -> None:
    done = project.step(target, runbook=RUNBOOK)
    assert done.code == PASSED, done.text
    for question in VALUES:
        assert target.execute(question) == by_hand.execute(question)
    without_rows = "--schema-only", "--exclude-schema=pgrunbook"
    assert target.dump(*without_rows) == by_hand.dump(*without_rows)


def test_what_psql_has_made_is_adopted(by_hand: Database, project: Project) -> None:
    adopted = ("-p", "adopt", "030_batches")
    done = project.step(by_hand, *adopted, runbook=RUNBOOK)
    assert done.code == PASSED, done.text
    ended = "SELECT block, event FROM pgrunbook.blocks WHERE event <> 'started' ORDER BY block"
    assert by_hand.execute(ended) == [(name, "adopted") for name in BLOCKS]
    assert not by_hand.execute("SELECT FROM pgrunbook.batches"), "adopted, but run"


@pytest.mark.usefixtures("deploy")
def test_a_rehearsal_reads_them_so(target: Database, project: Project) -> None:
    done = project.step(target, "--mode", "rehearse", runbook=RUNBOOK)
    assert done.code == PASSED, done.text


@pytest.mark.parametrize(("text", "code"), [("a b", PASSED), (r"a\\b", REFUSED)])
def test_what_psql_would_read_otherwise_is_refused(
    target: Database, project: Project, text: str, code: int
) -> None:
    target.execute(f"ALTER DATABASE {target.name} SET standard_conforming_strings = off")
    assert project.command("new", "strings").code == PASSED
    folder = project.root / "sql" / "003_strings"
    (folder / "verify" / "010_strings.sql").unlink()
    (folder / "deploy" / "010_strings.sql").write_text(
        f"-- title: T\n-- why: W.\n\nCREATE TABLE strings (a text DEFAULT '{text}');\n"
    )
    done = project.step(target, runbook="003_strings")
    assert done.code == code, done.text
    assert (f"ALTER DATABASE {target.name}" in done.text.replace('"', "")) == (code == REFUSED)


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_an_isolation_that_blocks_do_not_have_is_told(target: Database, isolation: str) -> None:
    target.execute(
        f"ALTER DATABASE {target.name} SET default_transaction_isolation = '{isolation}'"
    )
    with connect(Target("test", target.url), schema="public") as conn:
        told = [each.check for each in server_checks.report_isolation(conn)]
        assert conn.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
    assert any(isolation in each for each in told) == (isolation == "serializable")
