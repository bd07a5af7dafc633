"""Runbook 001 from end to end: papermill, a kernel, a real database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from support.databases import Database
from support.projects import ROOT, RUNBOOK, Outcome, Project
from support.refusals import problems

pytestmark = pytest.mark.newest

Run = Callable[..., Outcome]
PG18 = pytest.mark.parametrize("server", [18], indirect=True)


def test_apply_then_again(crm: Database, run: Run) -> None:
    first = run(crm, kernel=True)
    assert first.code == 0, first.text
    assert "PASSED" in first.text
    assert_no_noise(first)
    schema = crm.dump("--schema-only", "--exclude-schema=pgrunbook")
    second = run(crm)  # I5
    assert second.code == 0, second.text
    assert "nothing was left to do" in second.text
    assert crm.dump("--schema-only", "--exclude-schema=pgrunbook") == schema


@PG18
def test_the_record_shows_sql_time_and_schema_and_no_noise(crm: Database, run: Run) -> None:
    done = run(crm, "-p", "ticket", "CRM-7")
    assert "CRM-7" in done.cells["target"]
    assert "```sql\n" in done.cells["import-batches"]
    assert "CREATE TABLE import_batches (" in done.cells["import-batches"]
    assert re.search(r"\*\*applied\*\* in \d+ ms", done.cells["import-batches"])
    assert "gen_random_uuid()" in done.cells["import-batches-schema"]
    assert "idx_stage_mappings_workspace" in done.cells["after-indexes"]
    assert "FAILED" not in done.cells["verify"]
    assert "connections_source_type_check" in done.cells["difference"]
    assert "PASSED" in done.cells["verdict"]
    assert done.notebook
    assert_no_noise(done)
    assert done.notebook.stat().st_size < 350_000
    assert str(ROOT) not in done.notebook.read_text()


def assert_no_noise(done: Outcome) -> None:
    """Neither in the record, nor on the terminal."""
    assert done.notebook
    for cell in json.loads(done.notebook.read_text())["cells"]:
        assert "stream" not in [output["output_type"] for output in cell.get("outputs", ())]
    told = [line for line in done.text.splitlines() if not line.startswith("hazard: ")]
    assert len(told) == 3, done.text


def test_psql_and_the_runbook_make_the_same_schema(crm: Database, server, run: Run) -> None:  # type: ignore[no-untyped-def]
    """I7: with the variants and variables that the run shows."""
    from support import databases

    with databases.temporary(server, template="sample") as by_hand:
        folder = ROOT / "sql" / RUNBOOK / "deploy"
        plain = sorted(folder.glob("*.sql"))
        by_hand.psql(
            "-1", "-v", "connections_table=connections", *(arg for f in plain for arg in ("-f", f))
        )
        for table, column in [("connections", "source_type"), ("deals", "source")]:
            by_hand.psql(
                "-1",
                *_variables(by_hand, table, column),
                "-f",
                folder / "070_admit_csv_import" / "check.sql",
            )
            by_hand.psql(
                "-1",
                *_variables(by_hand, table, column),
                "-f",
                folder / "080_validate_csv_import" / "check.sql",
            )
        assert run(crm).code == 0
        assert crm.dump("-s", "--exclude-schema=pgrunbook") == by_hand.dump("-s")


def _variables(database: Database, table: str, column: str) -> list[str]:
    from pgrunbook.admit import admission

    with database.connect() as conn:
        found = admission.inspect(conn, "public", table, column, "csv_import")
    if found.obstacles:
        variables = found.obstacles[0].variables
    else:
        variables = {"table": table, "constraint": f"{table}_{column}_check"}
    return [arg for name, value in variables.items() for arg in ("-v", f"{name}={value}")]


def test_plan_leaves_no_trace(crm: Database, run: Run) -> None:
    before = crm.dump()
    done = run(crm, "--mode", "plan")
    assert done.code == 0, done.text
    assert "nothing was changed" in done.text
    assert "CREATE TABLE stage_mappings" in done.cells["stage-mappings"]
    assert crm.dump() == before


def test_plan_works_on_a_standby(standby: Database, run: Run) -> None:
    done = run(standby, "--mode", "plan")
    assert done.code == 2
    assert "a standby, in recovery" in done.text


@PG18
def test_verify_only_looks(crm: Database, applied: Database, run: Run) -> None:
    before = crm.dump()
    pending = run(crm, "--mode", "verify")
    assert pending.code == 1
    assert "is not in the ledger" in pending.text
    assert crm.dump() == before
    after = applied.dump()
    assert run(applied, "--mode", "verify").code == 0
    assert applied.dump() == after


@PG18
def test_verify_names_all_that_was_altered(applied: Database, project: Project) -> None:
    applied.load(
        "ALTER TABLE import_batches ADD one text, ADD other text;ALTER TABLE deals ALTER "
        "source_data DROP DEFAULT"
    )
    done = project.step(applied, "--mode", "verify")
    assert done.code == 1
    assert done.text.startswith("FAILED: The target is not in the verified state.\n")
    assert problems(done) == [
        "010_import_batches: table column public.import_batches.one was added by hand",
        "010_import_batches: table column public.import_batches.other was added by hand",
        "030_deals_source_data: table column public.deals.source_data was altered by hand",
    ]


def test_all_done_by_hand_is_adopted_without_any_ddl(crm: Database, run: Run) -> None:
    _by_hand(crm, "01", "02", "03", "04", "06")
    crm.load(
        "ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;"
        "ALTER TABLE deals DROP CONSTRAINT deals_source_check;"
    )
    schema = crm.dump("-s")
    with crm.logged("ddl") as ddl:
        done = run(crm)
    assert done.code == 0, done.text
    assert "applied" not in done.text
    assert [statement for statement in ddl if not _is_ours(statement)] == []
    assert crm.dump("-s", "--exclude-schema=pgrunbook") == schema


def _is_ours(statement: str) -> bool:
    """Whether a statement makes the ledger, or a probe's temporary copy."""
    return bool(re.search(r"\bpgrunbook\.|SCHEMA pgrunbook|\bTEMP\b|pg_temp|\bprobe_", statement))


@PG18
def test_half_done_by_hand_ends_complete(crm: Database, project: Project) -> None:
    _by_hand(crm, "010", "030", "061")
    crm.load("DROP INDEX idx_import_batches_status")
    done = project.run(crm)
    assert done.code == 0, done.text
    assert "there already: table public.import_batches" in done.cells["plan"]
    assert "CREATE TABLE" not in done.cells["import-batches"]
    assert "CREATE INDEX idx_import_batches_status" in done.cells["import-batches"]
    assert project.step(crm, "--mode", "verify").code == 0


def _by_hand(database: Database, *numbers: str) -> None:
    files = [
        f for n in numbers for f in sorted((ROOT / "sql" / RUNBOOK / "deploy").glob(f"{n}*.sql"))
    ]
    database.psql(
        "-1", "-v", "connections_table=connections", *(arg for f in files for arg in ("-f", f))
    )


@PG18
@pytest.mark.parametrize(
    "folder",
    [pytest.param("runbooks", marks=pytest.mark.long), "sql/001_import_connector/deploy"],
)
def test_plain_papermill_from_anywhere_in_the_project(
    crm: Database, project: Project, folder: str
) -> None:
    done = project.papermill(crm, "-p", "mode", "plan", cwd=project.root / folder)
    assert done.code == 0, done.text
    assert "PASSED: planned" in done.cells["verdict"]


@PG18
def test_other_schemas_with_odd_names(crm: Database, project: Project) -> None:
    crm.execute('ALTER SCHEMA public RENAME TO "My ""odd"" Schema"')
    done = project.run(crm, "-p", "schema", 'My "odd" Schema')
    assert done.code == 0, done.text
    assert project.step(crm, "--schema", 'My "odd" Schema', "--mode", "verify").code == 0
