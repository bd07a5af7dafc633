"""What a program reads in the record of one run of 001 that had to wait: the same as a person
does.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import databases
from support.databases import Database
from support.projects import ROOT, RUNBOOK, Project, wait_for

from pgrunbook.postgres.embedded import Server
from pgrunbook.records.format.bundles import VERSION
from pgrunbook.records.format.mime_types import FRAME_MIME
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record

pytestmark = pytest.mark.parametrize("server", [18], indirect=True, scope="module")


@pytest.fixture(scope="module")
def record(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    """Of a run that waited for a reader of `deals` once, on a target where one column had been
    added by hand.
    """
    root = tmp_path_factory.mktemp("project")
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, root / name)
    (root / "pgrunbook.toml").write_text("")
    with databases.sampled(server) as database:
        database.load("ALTER TABLE contacts ADD COLUMN source_data jsonb DEFAULT '{}'")
        _run(database, Project(root))
        (notebook,) = root.glob("outputs/**/*.ipynb")
        yield Record.read(notebook)


def _run(database: Database, project: Project) -> None:
    project.env["CRM_URL"] = database.url
    waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'deals'::regclass"
    with database.connect(application_name="slow report") as reader:
        reader.execute("BEGIN; LOCK TABLE deals IN ACCESS SHARE MODE")
        runner = project.start("run", RUNBOOK, "--target", "env:CRM_URL", "-p", "ticket", "CRM-7")
        try:
            wait_for(lambda: bool(database.execute(waits)))
            wait_for(lambda: not database.execute(waits))  # the first attempt is over
            reader.execute("COMMIT")
            assert runner.wait(60) == 0
        finally:
            runner.kill()


def test_how_it_ended(record: Record) -> None:
    assert record.noted["verdict"] == record.card["verdict"] == "passed"
    assert record.noted["run_id"] == record.card["run"] == record.identity["run"]
    assert {cell.state for cell in record.cells} == {"completed"}
    names = [cell.name for cell in record.cells]
    assert names[-4:] == ["verdict-text", "verdict", "revert-text", "revert"]


def test_on_what_and_by_whom(record: Record) -> None:
    assert record.identity["ticket"] == record.parameters["ticket"] == "CRM-7"
    assert record.identity["system_identifier"].isdigit()
    assert "pglast" in record.identity["versions"]


def test_what_was_run(record: Record) -> None:
    files = [*ROOT.glob(f"runbooks/{RUNBOOK}.ipynb"), *ROOT.glob(f"sql/{RUNBOOK}/**/*.sql")]
    assert record.sources == {str(file.relative_to(ROOT)): _sha256(file) for file in files}
    shown = record.rows("sources")
    assert shown[0]["file"] == f"{RUNBOOK}.ipynb"
    assert shown[1]["deploy"] == record.sources[f"sql/{RUNBOOK}/deploy/{shown[1]['file']}.sql"][:12]
    for said in record.decided[:8]:
        assert said["source_sha256"] == record.sources[f"sql/{RUNBOOK}/deploy/{said['block']}.sql"]


def test_every_frame_has_the_columns_of_its_kind(record: Record) -> None:
    data = [
        output["data"][FRAME_MIME]
        for cell in record.notebook["cells"]
        for output in cell.get("outputs", ())
        if FRAME_MIME in output.get("data", {})
    ]
    assert {frame["kind"] for frame in data} == set(Kind) - {
        Kind.FORESEEN,
        Kind.SQUAWK,
        Kind.ROWS,
        Kind.VERIFIED_IN_PART,
        *(Kind.BACKFILLS, Kind.BACKFILL, Kind.BATCHES),  # tests/run/test_backfill.py
    }
    for frame in data:
        assert frame["version"] == VERSION
        assert tuple(frame.get("columns", ())) == Kind(frame["kind"]).columns


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_was_going_on(record: Record) -> None:
    found = {row["what"]: row["found"] for row in record.rows("circumstances")}
    assert found["durability"].startswith("synchronous_commit")


def test_what_was_decided_and_done(record: Record) -> None:
    assert {row["result"] for row in record.rows("preconditions")} == {"ok"}
    decided = {row["block"]: row["decision"] for row in record.rows("decisions")}
    assert decided == {block.name: block.action for block in record.blocks}
    blocks = {block.name: block for block in record.blocks}
    created, added = blocks["010_import_batches"], blocks["040_contacts_source_data"]
    assert (created.cell, created.action, created.event) == ("import-batches", "apply", "applied")
    assert created.sql.count("CREATE INDEX") == 2
    assert created.statements[0]["statement"].startswith("CREATE TABLE import_batches")
    assert sum(row["ms"] for row in created.statements) <= created.elapsed_ms + 1
    assert record.done[0]["started_at"].endswith("+00:00")
    assert [(row["relation"], row["lock"]) for row in created.locks] == [
        ("workspaces", "SHARE ROW EXCLUSIVE")
    ]
    assert (added.action, added.event) == ("complete", "applied")  # all but the comment was there
    assert added.sql.startswith("COMMENT ON COLUMN contacts.source_data")


def test_for_whom_it_waited(record: Record) -> None:
    waited = {block.name: block.attempts for block in record.blocks if block.attempts}
    assert list(waited) == ["030_deals_source_data"]
    assert "slow report" in str(waited["030_deals_source_data"])


def test_what_came_of_it(record: Record) -> None:
    checks = record.rows("verification")
    assert len(checks) > 16
    assert {row["result"] for row in checks} == {"ok"}
    assert {row["as_expected"] for row in record.rows("expected_columns")} == {"yes"}
    assert ("added", "table", "import_batches") in {
        (row["change"], row["kind"], row["table"]) for row in record.rows("difference")
    }
    assert [frame.about["table"] for frame in record.frames if frame.kind == "columns"] == [
        "import_batches",
        "stage_mappings",
    ]


def test_the_tables_before_and_after_and_as_they_should_be(record: Record) -> None:
    snapshots = record.snapshots()
    before, after = (_tables(snapshots[when]) for when in ("before", "after"))
    assert after - before == {"import_batches", "stage_mappings"}
    column = ["table column", "deals", "source_data", ""]
    assert column in snapshots["expected"]["030_deals_source_data"]
    assert snapshots["before"]["columns"]["columns"][:3] == ["table", "column", "type"]


def _tables(frames: dict[str, dict[str, list[list[str]]]]) -> set[str]:
    return {row[0] for row in frames["tables"]["rows"]}
