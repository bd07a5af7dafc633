"""`pgrunbook run --pending`: what a scheduled release calls."""

from __future__ import annotations

import json
import shutil

import pytest
from support.databases import Database
from support.projects import Project

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

GIVEN = ("run", "--pending", "--target", "env:CRM_URL")


def records(project: Project) -> list[str]:
    return sorted(path.parent.name for path in (project.root / "outputs").rglob("*.ipynb"))


@pytest.mark.long
def test_all_that_is_pending_in_order_up_to_the_first_that_fails(
    crm: Database, project: Project
) -> None:
    project.env["CRM_URL"] = crm.url
    before = crm.dump()
    unknown = project.command(*GIVEN, "-p", "tabel", "x")
    assert (unknown.code, crm.dump()) == (2, before)
    assert "tabel: unknown parameter" in unknown.text

    # The second needs what the first makes, which is on the twin.
    planned = project.command(*GIVEN, "--mode", "plan")
    assert (planned.code, crm.dump()) == (0, before), planned.text
    assert "; after 001_import_connector, which is pending\n" in planned.text
    assert records(project) == ["001_import_connector", "002_import_batches_lookup"]
    shutil.rmtree(project.root / "outputs")

    nowhere = project.command("run", "001", "--target", "env:NOWHERE", "--json").text.partition(
        "REFUSED"
    )[0]
    (run,) = json.loads(nowhere)
    assert (run["verdict"], "the environment variable is not set" in run["error"]) == (
        "refused",
        True,
    )

    # Only the first declares this parameter; it does not pass, so that the second is not begun.
    failed = project.command(*GIVEN, "-p", "connections_table", "nowhere")
    assert failed.code == 2
    assert "pending: 001_import_connector, 002_import_batches_lookup\n" in failed.text
    assert records(project) == ["001_import_connector"]
    assert "note:" not in failed.text

    done = project.command(
        *GIVEN, "-p", "connections_table", "connections", "-p", "ticket", "007", "--json"
    )
    assert done.code == 0, done.text
    pending, *lines = done.text.splitlines()
    assert pending == "pending: 001_import_connector, 002_import_batches_lookup"
    told = "\n".join(line for line in lines if not line.startswith("hazard: "))
    assert [(run["runbook"], run["verdict"]) for run in json.loads(told)] == [
        ("001_import_connector", "passed"),
        ("002_import_batches_lookup", "passed"),
    ]
    for run in json.loads(told):
        assert run["message"].startswith("PASSED: "), run
        assert (project.root / run["notebook"]).is_file()
        assert run["seal"].startswith("number "), run
    assert records(project) == [
        "001_import_connector",
        "001_import_connector",
        "002_import_batches_lookup",
    ]
    assert crm.execute("SELECT DISTINCT ticket FROM pgrunbook.runs") == [("007",)]

    again = project.command(*GIVEN)
    assert (again.code, again.text) == (0, "pending: nothing\n")
    assert project.command(*GIVEN, "--json").text == "pending: nothing\n[]\n"
    # by hand: the ledger does not know; verify would say so
    crm.execute("DROP INDEX idx_deals_import_batch")
    assert project.command(*GIVEN).text == "pending: nothing\n"


def test_what_did_not_pass_is_pending_until_it_does(applied: Database, project: Project) -> None:
    """Its blocks are in place: nothing but the ledger's last verdict says that they were never
    verified.
    """
    project.env["CRM_URL"] = applied.url
    file = (
        project.root / "sql" / "002_import_batches_lookup" / "verify" / "010_deals_import_batch.sql"
    )
    verify = file.read_text()
    file.write_text(f"{verify}\n-- check: it adds up\nSELECT 1 / 0;\n")
    assert project.command("run", "002", "--target", "env:CRM_URL").code == 1
    failed = project.command(*GIVEN)
    assert failed.code == 1
    assert failed.text.startswith("pending: 002_import_batches_lookup\n")
    assert "division by zero" in failed.text

    file.write_text(verify)
    assert project.command(*GIVEN).code == 0
    assert applied.execute("SELECT verdict FROM pgrunbook.verdicts ORDER BY id DESC LIMIT 2") == [
        ("passed",),
        ("failed",),
    ]
    before = applied.dump()
    again = project.command(*GIVEN)
    assert (again.code, again.text, applied.dump()) == (0, "pending: nothing\n", before)


def test_a_file_that_was_edited_since_is_pending_and_refuses(
    applied: Database, project: Project
) -> None:
    """`status` says so, too; of blocks with variants, where one that was chosen was. A comment does
    not count.
    """
    project.env["CRM_URL"] = applied.url
    deploy = project.root / "sql" / "001_import_connector" / "deploy"
    edits = {
        "010_import_batches.sql": "\nALTER TABLE import_batches ADD COLUMN note TEXT;\n",
        "020_stage_mappings.sql": "\n-- a comment\n",
        "070_admit_csv_import/check.sql": "\nSELECT 1;\n",
        "070_admit_csv_import/enum.sql": "\nSELECT 1;\n",
    }
    for name, more in edits.items():
        (deploy / name).write_text((deploy / name).read_text() + more)
    (found,) = json.loads(
        project.command("status", "001", "--target", "env:CRM_URL", "--json").text
    )
    edited = [
        "010_import_batches",
        "070_admit_csv_import:connections.source_type",
        "070_admit_csv_import:deals.source",
    ]
    assert [block["block"] for block in found["blocks"] if block["edited"]] == edited
    assert (
        project.command("status", "001", "--target", "env:CRM_URL").text.count(
            "applied; the file was edited since"
        )
        == 3
    )
    refused = project.command(*GIVEN)
    assert refused.code == 2
    assert refused.text.startswith("pending: 001_import_connector, 002_import_batches_lookup\n")
    for block in edited:
        assert f"{block}: the file was edited after it was applied" in refused.text


def test_one_runbook_or_all_that_are_pending(project: Project) -> None:
    for arguments in (("run",), ("run", "001", "--pending")):
        refused = project.command(*arguments)
        assert refused.code == 2
        assert "Name a RUNBOOK, or give --pending." in refused.text
