"""Runbook 002, an index built CONCURRENTLY, to show that the engine is general; and how a runbook
is begun.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from support.databases import Database
from support.projects import ROOT, RUNBOOK, Project

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.newest]
on_18 = pytest.mark.parametrize("server", [18], indirect=True)

BLOCK = "010_deals_import_batch"
SQL = Path("sql") / "002_import_batches_lookup"
WITHOUT_LEDGER = "--exclude-schema=pgrunbook"


def run(project: Project, database: Database, *arguments: str) -> tuple[int, str]:
    project.env["CRM_URL"] = database.url
    done = project.command("run", "002", "--target", "env:CRM_URL", *arguments)
    return done.code, done.text


@pytest.mark.long
def test_plan_rehearse_apply_revert(crm: Database, project: Project) -> None:
    refused, text = run(project, crm)
    assert refused == 2
    assert "deals.source_data: the column is missing" in text
    crm.psql(
        "-f", project.root / "sql" / "001_import_connector" / "deploy" / "030_deals_source_data.sql"
    )
    before = crm.dump(WITHOUT_LEDGER)

    code, text = run(project, crm, "--mode", "rehearse")
    assert code == 0, text
    assert crm.dump(WITHOUT_LEDGER) == before
    code, text = run(project, crm)
    assert code == 0, text
    assert "PASSED: 1 block is in place: 1 applied" in text
    applied = crm.dump("--schema-only", WITHOUT_LEDGER)
    assert "idx_deals_import_batch" in applied

    code, text = run(project, crm, "--mode", "revert")
    assert (code, crm.dump(WITHOUT_LEDGER)) == (0, before), text
    events = "SELECT event FROM pgrunbook.blocks ORDER BY id"
    assert [event for (event,) in crm.execute(events)] == [
        "started",
        "applied",
        "reverting",
        "reverted",
    ]

    crm.psql("-f", project.root / SQL / "deploy" / f"{BLOCK}.sql")
    assert crm.dump("--schema-only", WITHOUT_LEDGER) == applied  # psql makes the same


@pytest.mark.long
@on_18
def test_a_build_that_was_broken_off_is_begun_again_and_a_second_run_skips(
    crm: Database, project: Project
) -> None:
    for path in (
        "sql/001_import_connector/deploy/030_deals_source_data.sql",
        SQL / "deploy" / f"{BLOCK}.sql",
    ):
        crm.psql("-f", project.root / path)
    index = "idx_deals_import_batch"
    crm.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass")
    project.env["CRM_URL"] = crm.url
    built = project.command("run", "002", "--target", "env:CRM_URL")
    assert built.code == 0, built.text
    assert f'DROP INDEX CONCURRENTLY "{index}"' in built.cells["deals-import-batch"]
    state = f"SELECT indexrelid, indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass"
    ((oid, valid),) = crm.execute(state)
    assert valid
    again = project.command("run", "002", "--target", "env:CRM_URL")
    assert again.code == 0, again.text
    assert "skip" in again.cells["deals-import-batch"]
    assert crm.execute(state) == [(oid, True)]


@pytest.mark.long
@on_18
def test_a_revert_that_was_broken_off_goes_on(crm: Database, project: Project) -> None:
    """The index was dropped, and then the session was gone: no row says so but `reverting`."""
    crm.psql(
        "-f", project.root / "sql" / "001_import_connector" / "deploy" / "030_deals_source_data.sql"
    )
    assert run(project, crm)[0] == 0
    crm.load(
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid())"
        " WHERE NEW.event = 'finished' AND NEW.sql LIKE 'DROP%'; RETURN NEW; END$$;"
        "CREATE TRIGGER gone BEFORE INSERT ON pgrunbook.statements FOR EACH ROW"
        " EXECUTE FUNCTION gone()"
    )
    code, text = run(project, crm, "--mode", "revert")
    assert code == 1, text
    assert (
        "The revert failed. It is outside a transaction: what was undone is gone, the rest is "
        "there." in text
    )
    crm.load("DROP TRIGGER gone ON pgrunbook.statements")
    assert crm.execute("SELECT to_regclass('idx_deals_import_batch')") == [(None,)]
    code, text = run(project, crm, "--mode", "revert")
    assert code == 0, text
    assert crm.execute("SELECT event FROM pgrunbook.blocks ORDER BY id DESC LIMIT 1") == [
        ("reverted",)
    ]
    assert run(project, crm)[0] == 0


@on_18
def test_a_new_runbook_works_as_it_stands(empty: Database, project: Project) -> None:
    project.env["CRM_URL"] = empty.url
    made = project.command("new", "support_notes")
    assert made.code == 0, made.text
    assert made.text.startswith(
        "runbooks/003_support_notes.ipynb\nsql/003_support_notes/deploy/010_support_notes.sql\n"
    )
    linted = project.command("lint")
    assert linted.code == 0, linted.text
    before = empty.dump()
    planned = project.command("run", "003", "--target", "env:CRM_URL", "--mode", "plan")
    assert (planned.code, empty.dump()) == (0, before), planned.text
    assert "CREATE TABLE support_notes" in planned.cells["010-support-notes"]
    _as_the_page_has_it(project)
    empty.load(
        "CREATE TABLE invoices (number int PRIMARY KEY, state text CHECK (state IN ('paid')));"
    )
    done = project.command("run", "003", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    assert "created_at fills in" in done.cells["verify"]
    assert "the column accepts the value" in done.cells["verify"]
    assert done.cells["locate"] == "Column(table='invoices', column='number')"
    empty.execute("INSERT INTO invoices VALUES (1, 'void')")
    again = project.command("new", "support_notes")
    assert again.code == 2
    assert "there is a runbook of that name" in again.text
    odd = project.command("new", "Support notes;")
    assert odd.code == 2
    assert "cannot be the name of a runbook" in odd.text
    (project.root / "pgrunbook.toml").unlink()
    nowhere = project.command("new", "other_notes")
    assert nowhere.code == 2
    assert "pgrunbook.toml" in nowhere.text
    assert not list(project.root.glob("*/004_*"))


def _as_the_page_has_it(project: Project) -> None:
    """Add to runbook 003 what docs/runbooks.md tells to find a table and to admit one more
    value.
    """
    locate, admit, apply = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "runbooks.md").read_text(), re.DOTALL
    )
    path = project.root / "runbooks" / "003_support_notes.ipynb"
    notebook = nbformat.read(path, 4)
    places = {cell.id: place for place, cell in enumerate(notebook.cells)}
    notebook.cells[places["parameters"]].source += '\ninvoices_table = ""\nnumber_column = ""'
    locate += "invoices"
    notebook.cells[places["010-support-notes"]].source += f"\n{apply}"
    before = [new_code_cell(locate, id="locate"), new_code_cell(admit, id="admit")]
    notebook.cells[places["preconditions-text"] : places["preconditions-text"]] = before
    nbformat.write(notebook, path)
    for kind in ("deploy", "verify", "revert"):
        for name in ("070_admit", "080_validate"):
            own = project.root / "sql" / "003_support_notes" / kind / f"{name}_void"
            shutil.copytree(ROOT / "sql" / RUNBOOK / kind / f"{name}_csv_import", own)
