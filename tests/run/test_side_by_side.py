"""Runs at the same time: one in a schema, side by side in several, and who needs them all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from support.applying import begin
from support.databases import Database
from support.projects import Outcome, Project, wait_for

from pgrunbook.ledger import install, ledger, versions
from pgrunbook.postgres import run_locks
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

PASSED, LOCKED_OUT = 0, 4
SCHEMAS = "one", "two"
BLOCK = "020_phone.sql"


@dataclass(frozen=True)
class Tenants:
    """A database with a schema for each of two tenants, and a runbook `tenants` for them."""

    project: Project
    database: Database

    def run(self, schema: str, *arguments: str) -> Outcome:
        """Run it in a schema; it waits for its locks for as long as a test may take."""
        given = ["-p", "schema", schema, "-p", "lock_budget", "1min"]
        self.project.env["CRM_URL"] = self.database.url
        done = self.project.command(
            "run", "003_tenants", "--target", "env:CRM_URL", *given, *arguments, "--json"
        )
        (said,) = json.loads(done.text[done.text.index("[\n") :])
        return Outcome(done.code, done.text, self.project.root / said["notebook"])

    @contextmanager
    def waiting(self, schema: str) -> Iterator[None]:
        """Somebody reads a table of the schema, for which a run there has to wait."""
        with self.database.connect() as reader, reader.transaction():
            reader.execute(f"SELECT FROM {schema}.customers".encode())
            yield

    def at_work(self, schema: str) -> bool:
        """Whether a run has the lock of a schema, and has applied its first block."""
        with connect(Target("test", self.database.url), schema=schema) as conn:
            return bool(
                run_locks.holders(conn, run_locks.of_schema(schema))
                and ledger.unfinished_runs(conn, schema)
            )


@pytest.fixture
def tenants(project: Project, empty: Database) -> Tenants:
    assert project.command("new", "tenants").code == 0
    deploy = project.root / "sql" / "003_tenants" / "deploy"
    (deploy / BLOCK).write_text("ALTER TABLE customers ADD COLUMN phone text;\n")
    project.apply_all("003_tenants")
    for schema in SCHEMAS:
        empty.load(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.customers (id int)")
    return Tenants(project, empty)


def test_two_schemas_side_by_side_and_one_run_in_each(tenants: Tenants) -> None:
    with ThreadPoolExecutor(1) as pool:
        with tenants.waiting("one"):
            first = pool.submit(tenants.run, "one")
            wait_for(lambda: tenants.at_work("one"))
            beside = tenants.run("two")
            assert beside.code == PASSED, beside.text
            again = tenants.run("one")
            assert again.code == LOCKED_OUT, again.text
            assert "another run holds the advisory lock of schema 'one'" in again.text
            assert "--schema one" in again.text
        done = first.result()
    assert done.code == PASSED, done.text
    ended = "SELECT schema_name, verdict FROM pgrunbook.verdicts JOIN pgrunbook.runs USING (run_id)"
    assert sorted(tenants.database.execute(ended)) == [("one", "passed"), ("two", "passed")]
    for schema in SCHEMAS:
        assert tenants.database.execute(f"SELECT phone FROM {schema}.customers") == []
    checked = tenants.project.command("archive", "verify", "--target", "env:CRM_URL")
    assert checked.code == 0, checked.text


@pytest.mark.long
def test_a_block_that_names_its_schemas_needs_the_database_for_itself(tenants: Tenants) -> None:
    path = tenants.project.root / "sql" / "003_tenants" / "deploy" / BLOCK
    with ThreadPoolExecutor(1) as pool:
        with tenants.waiting("one"):
            first = pool.submit(tenants.run, "one")
            wait_for(lambda: tenants.at_work("one"))
            path.write_text(f"-- search_path: two\n{path.read_text()}")
            alone = tenants.run("two")
            assert alone.code == LOCKED_OUT, alone.text
            assert "this run has to be alone in the database" in alone.text
        assert first.result().code == PASSED
    alone = tenants.run("two")
    assert alone.code == PASSED, alone.text


def test_a_run_of_before_there_were_locks_of_schemas_is_alone(tenants: Tenants) -> None:
    with tenants.database.connect(application_name="pgrunbook old") as other:
        other.execute("SELECT pg_advisory_lock(%s)", [run_locks.DATABASE])
        done = tenants.run("one")
        assert done.code == LOCKED_OUT, done.text
        assert "another run holds the advisory lock of the whole database" in done.text


def test_a_run_closes_those_that_died_in_its_own_schema_alone(tenants: Tenants) -> None:
    with connect(Target("test", tenants.database.url), schema="one") as conn:
        install.install(conn)
        for number, schema in enumerate(SCHEMAS):
            run_id = f"{number}badcafe-0000-4000-8000-000000000000"
            begin(conn, run_id, "003_tenants", schema=schema)
    done = tenants.run("one")
    assert done.code == PASSED, done.text
    assert "1badcafe" not in done.cells["target"]  # it may be at work
    died = "SELECT left(run_id::text, 8) FROM pgrunbook.verdicts WHERE verdict = 'interrupted'"
    assert tenants.database.execute(died) == [("0badcafe",)]


def test_first_runs_at_once_make_one_ledger(empty: Database) -> None:
    def installed(schema: str) -> int:
        with connect(Target("test", empty.url), schema=schema) as conn:
            install.install(conn)
            return versions.installed(conn)

    with ThreadPoolExecutor(8) as pool:
        assert {*pool.map(installed, ["public"] * 8)} == {versions.SCHEMA_VERSION}
