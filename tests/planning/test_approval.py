"""Protected targets: what somebody else approved is what is done, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.databases import Database
from support.projects import ROOT, RUNBOOK, Outcome, Project

from pgrunbook.postgres import embedded
from pgrunbook.postgres.embedded import Server

Servers = Callable[[int], Server]
SAMPLE = ROOT / "sql" / "sample.sql"

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

NAME = "production"
CONFIGURATION = '[targets.production]\nenv = "CRM_URL"\nprotected = true\n'
BY = ("-p", "operator", "ada", "-p", "approver", "grace")


@pytest.fixture
def production(crm: Database, project: Project) -> Project:
    """The project, whose target `production` is protected."""
    (project.root / "pgrunbook.toml").write_text(CONFIGURATION + crm.known_by)
    project.env["CRM_URL"] = crm.url
    return project


def planned(project: Project) -> str:
    """Plan with papermill, so that the record is in the archive; the plan's digest."""
    done = project.run(NAME, "--mode", "plan")
    assert done.code == 0, done.text
    found = re.search(r"plan: ([0-9a-f]{64})", done.cells["verdict"])
    assert found, done.cells["verdict"]
    return found[1]


def approved(project: Project, digest: str, *others: str) -> Outcome:
    return project.step(NAME, "-p", "approved_plan", digest, *BY, *others)


def test_a_protected_target_takes_nothing_but_the_approved_plan(
    crm: Database, production: Project
) -> None:
    before = crm.dump()
    without = production.run(NAME)
    assert without.code == 2
    assert "plan: is not approved, and the target is protected" in without.text
    assert "plan: is not approved by somebody else" in without.text
    assert crm.dump() == before

    digest = planned(production)
    assert f"-p approved_plan {digest}" in without.text
    own = production.step(
        NAME, "-p", "approved_plan", digest, "-p", "operator", "ada", "-p", "approver", "ADA"
    )
    assert own.code == 2
    assert "plan: is not approved by somebody else" in own.text
    assert crm.dump() == before

    done = production.run(NAME, "-p", "approved_plan", digest, *BY)
    assert done.code == 0, done.text
    assert crm.execute("SELECT plan, parameters ->> 'approver' FROM pgrunbook.runs") == [
        (digest, "grace")
    ]
    assert production.step(NAME).code == 0  # nothing is left to do, and nothing to approve


@pytest.mark.long
def test_a_protected_target_is_protected_under_any_name(crm: Database, production: Project) -> None:
    before = crm.dump()
    (production.root / "pgrunbook.toml").write_text(CONFIGURATION)
    by_name_alone = production.step(NAME)
    assert (by_name_alone.code, crm.dump()) == (2, before)
    assert "target 'production': is protected by its name alone" in by_name_alone.text
    for line in crm.known_by.splitlines():
        assert f" {line}\n" in by_name_alone.text
    assert production.step(NAME, "--mode", "plan").code == 0

    known = crm.known_by.split('"')[3]
    by_identity = f'env = "OTHER"\n{crm.known_by}rehearsal = true\n'
    for settings in ('env = "CRM_URL"\nprotected = true\n', by_identity):
        toml = f'[targets.production]\n{settings}[targets.staging]\nenv = "CRM_URL"\n'
        (production.root / "pgrunbook.toml").write_text(toml)
        done = production.step(crm)
        assert (done.code, crm.dump()) == (2, before), done.text
        assert "target 'env:CRM_URL': is the target 'production', which is protected" in done.text
        assert production.step(crm, "--mode", "plan").code == 0
    assert production.run("staging").code == 2

    elsewhere = toml.replace(known, known[::-1])
    (production.root / "pgrunbook.toml").write_text(elsewhere)
    assert production.run("staging").code == 0


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_stale_plan_is_refused_with_all_that_differs(crm: Database, production: Project) -> None:
    """Edited files, a column added since, and a block applied since."""
    digest = planned(production)
    sql, notebook = (
        production.root / "sql" / RUNBOOK,
        production.root / "runbooks" / f"{RUNBOOK}.ipynb",
    )
    edit(production.root / "pgrunbook.toml", "protected = true", "")
    production.step(NAME, upto="010_import_batches")
    edit(production.root / "pgrunbook.toml", 'env = "CRM_URL"', 'env = "CRM_URL"\nprotected = true')
    edit(
        sql / "deploy" / "020_stage_mappings.sql",
        "display_order INTEGER DEFAULT 0",
        "display_order INTEGER DEFAULT 1",
    )
    edit(sql / "verify" / "030_deals_source_data.sql", ";\n", ";\nSELECT 1;\n")
    edit(notebook, "run.verdict()", "run.verdict()  # really")
    crm.execute("ALTER TABLE deals ADD COLUMN by_hand text")
    before = crm.dump()
    done = approved(production, digest)
    assert (done.code, crm.dump()) == (2, before), done.text
    for text in [
        f"plan: is not the one that was approved\n      expected: {digest}",
        "010_import_batches: is done already",
        "table public.import_batches: has changed in the target since",
        "sql/001_import_connector/deploy/020_stage_mappings.sql: was edited since",
        "020_stage_mappings: other SQL is to run now",
        "expected:   display_order INTEGER DEFAULT 0,\n      found:      display_order INTEGER "
        "DEFAULT 1,",
        "sql/001_import_connector/verify/030_deals_source_data.sql: was edited since",
        "runbooks/001_import_connector.ipynb: was edited since",
        "table column public.deals.by_hand: has changed in the target since\n      expected: "
        "absent\n      found:    type: text",
    ]:
        assert text in done.text
    assert "its record is not in the archive" not in done.text


@pytest.mark.long
def test_another_order_and_another_database(
    crm: Database, production: Project, servers: Servers
) -> None:
    """020 becomes 005, the same SQL before 010; and a server that has a database of the same
    name.
    """
    digest = planned(production)
    for path in (production.root / "sql" / RUNBOOK).glob("*/020_stage_mappings.sql"):
        path.rename(path.with_name("005_stage_mappings.sql"))
    edit(
        production.root / "runbooks" / f"{RUNBOOK}.ipynb",
        "020_stage_mappings",
        "005_stage_mappings",
    )
    other = Database(servers(16), crm.name)
    embedded.database(other.server, crm.name, SAMPLE)
    production.env["CRM_URL"] = other.url
    (production.root / "pgrunbook.toml").write_text(CONFIGURATION + other.known_by)
    done = approved(production, digest)
    assert done.code == 2
    assert "system identifier: the target is another one" in done.text
    assert "020_stage_mappings: is done already, or is no block any more" in done.text
    assert "005_stage_mappings: is to be done now" in done.text


def test_text_outputs_and_parameters_are_no_part_of_the_plan(production: Project) -> None:
    """JupyterLab saves outputs into the notebook, and the DBA changes the mode there."""
    digest = planned(production)
    path = production.root / "runbooks" / f"{RUNBOOK}.ipynb"
    nb = json.loads(path.read_text())
    for cell in nb["cells"]:
        if cell["id"] == "note":
            cell["source"] = "special this time"
        if cell["id"] == "parameters":
            cell["source"] = "".join(cell["source"]).replace('ticket = ""', 'ticket = "CRM-1"')
        if cell["cell_type"] == "code":
            cell["execution_count"] = 3
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    path.write_text(json.dumps(nb))
    assert approved(production, digest).code == 0


def test_without_the_record_of_the_plan_it_is_refused_all_the_same(
    crm: Database, production: Project
) -> None:
    digest = planned(production)
    crm.execute("ALTER TABLE deals ADD COLUMN by_hand text")
    for path in (production.root / "outputs").rglob("*.ipynb"):
        path.unlink()
    done = approved(production, digest)
    assert done.code == 2
    assert "its record is not in the archive, so what differs cannot be shown" in done.text


def test_the_record_of_a_plan_is_found_where_schemas_had_no_folders_too(
    crm: Database, production: Project
) -> None:
    crm.load("ALTER SCHEMA public RENAME TO app")
    done = production.run(NAME, "--mode", "plan", "-p", "schema", "app")
    assert done.code == 0, done.text
    assert done.notebook
    assert done.notebook.parent == production.root / "outputs" / NAME / "app" / RUNBOOK
    digest = re.findall(r"plan: ([0-9a-f]{64})", done.cells["verdict"])[0]
    block = production.root / "sql" / RUNBOOK / "deploy" / "010_import_batches.sql"
    edit(block, "import_batches", "import_lots")
    missing = "its record is not in the archive"
    assert missing not in approved(production, digest, "-p", "schema", "app").text
    before = production.root / "outputs" / NAME / RUNBOOK
    done.notebook.parent.rename(before)
    assert missing not in approved(production, digest, "-p", "schema", "app").text
    before.rename(before.with_name("elsewhere"))
    assert missing in approved(production, digest, "-p", "schema", "app").text


def test_nothing_but_the_approved_sql_runs_though_the_target_changes_meanwhile(
    crm: Database, production: Project
) -> None:
    """Somebody alters a CHECK between the preconditions and the block that replaces it."""
    change = (
        "ALTER TABLE deals DROP CONSTRAINT deals_source_check, ADD CONSTRAINT deals_source_check"
        " CHECK (source IN ('hubspot', 'salesforce', 'pipedrive', 'manual', 'fax'))"
    )
    path = production.root / "runbooks" / f"{RUNBOOK}.ipynb"
    nb = json.loads(path.read_text())
    (cell,) = [cell for cell in nb["cells"] if cell["id"] == "admit"]
    cell["source"] = (
        "import os, psycopg\nif os.environ.get('MEANWHILE'):\n"
        "    psycopg.connect(os.environ['CRM_URL'], "
        f"autocommit=True).execute({change!r})\n{cell['source'][0]}"
    )
    path.write_text(json.dumps(nb))
    digest = planned(production)
    production.env["MEANWHILE"] = "yes"
    done = approved(production, digest)
    assert done.code == 1, done.text  # blocks before it were applied
    assert "070_admit_csv_import:deals.source: is not what was approved" in done.text
    assert "'fax'" in crm.dump("--schema-only")


def test_a_digest_that_is_none(production: Project) -> None:
    done = approved(production, "2f3a")
    assert done.code == 2
    assert "approved_plan: takes the SHA-256 of a plan" in done.text


@pytest.mark.long
def test_a_revert_of_a_protected_target_is_approved_too(crm: Database, production: Project) -> None:
    """Its refusal shows the plan of it. To lose more than that is another plan."""
    assert approved(production, planned(production)).code == 0
    refused = production.run(NAME, "--mode", "revert", *BY)
    assert refused.code == 2
    (digest,) = set(re.findall(r"approved_plan ([0-9a-f]{64})", refused.text))
    assert "DROP TABLE stage_mappings" in refused.cells["preconditions"]
    crm.execute(
        "UPDATE deals SET source_data = '{\"a\": 1}' WHERE id = (SELECT id FROM deals LIMIT 1)"
    )
    more = approved(
        production, digest, "-p", "mode", "revert", "-p", "discard", "030_deals_source_data"
    )
    assert (more.code, "plan: is not the one that was approved" in more.text) == (2, True), (
        more.text
    )
    crm.execute("UPDATE deals SET source_data = '{}'")
    done = approved(production, digest, "-p", "mode", "revert")
    assert done.code == 0, done.text
    assert crm.execute("SELECT to_regclass('import_batches')") == [(None,)]
