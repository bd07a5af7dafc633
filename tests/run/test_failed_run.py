"""A run that fails in the middle: what was done stays and is in the ledger, the next run goes on
from there.
"""

from __future__ import annotations

import pytest
from support.databases import Database
from support.projects import RUNBOOK, Outcome, Project
from support.refusals import assert_presentable

from pgrunbook.records.changes_answer import changes
from pgrunbook.records.record import Record

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

# Holds up one statement of block 020, which creates a table and then this index.
SLOW_INDEX = """
CREATE FUNCTION hold_up() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity ~ 'idx_stage_mappings_workspace') THEN
    PERFORM pg_sleep(60);
  END IF;
END $$;
CREATE EVENT TRIGGER hold_up ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION hold_up();
"""


def ledger(database: Database) -> list[tuple[str, str]]:
    """Block and event of each row."""
    return [
        (block, event)
        for block, event in database.execute(
            "SELECT block, event FROM pgrunbook.blocks ORDER BY id"
        )
    ]


def verdicts(database: Database) -> list[str]:
    return [
        verdict
        for (verdict,) in database.execute("SELECT verdict FROM pgrunbook.verdicts ORDER BY id")
    ]


def assert_failed(done: Outcome, project: Project) -> None:
    assert done.code == 1, done.text
    assert "The block failed and was rolled back: nothing of it is there." in done.text
    assert_presentable(done, project)


def assert_goes_on(database: Database, project: Project, *, before: list[tuple[str, str]]) -> None:
    done = project.run(database)
    assert done.code == 0, done.text
    assert ledger(database)[: len(before)] == before
    assert len({block for block, _ in ledger(database)}) == len(ledger(database))
    assert verdicts(database) == ["failed", "passed"]


def _place(project: Project, block: str, line: str, kind: str = "deploy") -> str:
    """`file:line` of the line of the block that begins so."""
    file = project.root / "sql" / RUNBOOK / kind / f"{block}.sql"
    number = next(
        n for n, text in enumerate(file.read_text().splitlines(), 1) if text.startswith(line)
    )
    return f"{kind}/{block}.sql:{number}"


@pytest.mark.long
def test_a_statement_that_takes_too_long(crm: Database, project: Project) -> None:
    crm.load(SLOW_INDEX)
    done = project.run(crm, "-p", "statement_timeout", "1s")
    assert_failed(done, project)
    statement = "CREATE INDEX idx_stage_mappings_workspace ON stage_mappings"
    place = _place(project, "020_stage_mappings", statement)
    assert (
        f"  {place}: canceling statement due to statement timeout (SQLSTATE 57014)\n" in done.text
    )
    assert f"found:    {statement}" in done.text
    assert "remedy:   raise the parameter statement_timeout" in done.text
    assert ledger(crm) == [("010_import_batches", "applied")]
    assert crm.execute(
        "SELECT to_regclass('import_batches')::text, to_regclass('stage_mappings')::text"
    ) == [("import_batches", None)]
    crm.load("DROP EVENT TRIGGER hold_up")
    assert_goes_on(crm, project, before=[("010_import_batches", "applied")])


DYING = """
CREATE FUNCTION die() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.stage_mappings') THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(60); -- is interrupted
  END IF;
END $$;
CREATE EVENT TRIGGER dying ON ddl_command_end EXECUTE FUNCTION die();
"""


def test_a_session_that_somebody_ends(crm: Database, project: Project) -> None:
    crm.load(DYING)
    done = project.run(crm)
    assert_failed(done, project)
    # What the server said last comes through, or does not: libpq has it only until it finds the
    # connection closed.
    lost = (
        "server closed the connection unexpectedly" in done.text
        and "the server's log says why" in done.text
    )
    assert lost or "terminating connection due to administrator command" in done.text
    lines = done.text.splitlines()
    assert "target:   env:CRM_URL" in lines
    assert "far:      1 of 16 blocks done, 020_stage_mappings failed, 14 not begun" in lines
    assert done.notebook
    changed = changes(Record.read(done.notebook))
    assert "020_stage_mappings was begun. The block failed and was rolled back: nothing" in changed
    assert ledger(crm) == [("010_import_batches", "applied")]
    crm.load("DROP EVENT TRIGGER dying")
    assert_goes_on(crm, project, before=[("010_import_batches", "applied")])


def test_a_timeout_of_the_file_itself(crm: Database, project: Project) -> None:
    crm.load(SLOW_INDEX)
    file = project.root / "sql" / RUNBOOK / "deploy" / "020_stage_mappings.sql"
    file.write_text("-- statement_timeout: 1s\n" + file.read_text())
    done = project.run(crm)
    assert_failed(done, project)
    assert (
        f"  {_place(project, '020_stage_mappings', 'CREATE INDEX')}: canceling statement due to"
        in done.text
    )
    assert "remedy:   raise the header statement_timeout" in done.text


def test_a_statement_that_the_server_rejects(crm: Database, project: Project) -> None:
    """The line and the caret are those of what the server means, not of the statement's
    beginning.
    """
    file = project.root / "sql" / RUNBOOK / "deploy" / "020_stage_mappings.sql"
    line = "  (workspace_id, (raw_stage + 1))"
    file.write_text(f"{file.read_text()}CREATE INDEX odd ON stage_mappings\n{line};\n")
    done = project.run(crm)
    assert_failed(done, project)
    assert f"  {_place(project, '020_stage_mappings', line)}: operator does not exist" in done.text
    assert f"      found:    {line}\n{' ' * (16 + line.index('+'))}^\n" in done.text
    assert "or in those of the header search_path alone; then run again\n" in done.text


FULL_DISK = """
CREATE FUNCTION fill_the_disk() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_query() LIKE '%ADD CONSTRAINT%NOT VALID%' THEN
    RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'No space left on device', HINT = 'Check free disk space.';
  END IF;
END $$;
CREATE EVENT TRIGGER full_disk ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION fill_the_disk();
"""


def test_a_statement_of_a_variant(crm: Database, project: Project) -> None:
    """Its place is in the variant's file. What the server advises comes first."""
    crm.load(FULL_DISK)
    done = project.run(crm)
    assert_failed(done, project)
    place = _place(project, "070_admit_csv_import/check", "ALTER TABLE")
    assert f"  {place}: No space left on device (SQLSTATE 53100)\n" in done.text
    assert (
        f"remedy:   Check free disk space.\n{' ' * 16}make room on the server's disk, then run "
        "again\n" in done.text
    )


def test_a_verification_that_does_not_hold(applied: Database, project: Project) -> None:
    """Its place is in the file of the verification, header and all; each is named."""
    blocks, line = ("030_deals_source_data", "070_admit_csv_import/admitted"), "  (1 + 'x'::text);"
    for block in blocks:
        file = project.root / "sql" / RUNBOOK / "verify" / f"{block}.sql"
        file.write_text(f"{file.read_text()}\n-- check: it adds up\nSELECT\n{line}\n")
    done = project.run(applied)
    assert done.code == 1, done.text
    for block in blocks:
        assert (
            f"  {_place(project, block, line, 'verify')}: operator does not exist: integer + text"
            in done.text
        )
    assert_presentable(done, project)


def test_placeholders_without_a_value_refuse_the_run_before_it_writes(
    crm: Database, project: Project
) -> None:
    """Those of the verifications too, and of the variants that were chosen."""
    files, line = (
        (("verify", "030_deals_source_data"), ("revert", "070_admit_csv_import/check")),
        "SELECT :'nobody';",
    )
    for kind, block in files:
        file = project.root / "sql" / RUNBOOK / kind / f"{block}.sql"
        file.write_text(f"{file.read_text()}\n{line}\n")
    before = crm.dump()
    done = project.step(crm)
    assert done.code == 2, done.text
    for kind, block in files:
        assert f"  {_place(project, block, line, kind)}: no value for nobody\n" in done.text
    assert crm.dump() == before


def test_a_cell_that_applies_no_block(crm: Database, project: Project) -> None:
    """Others are committed by then, so that nothing was changed can no longer be said."""
    notebook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    notebook.write_text(
        notebook.read_text().replace(
            'run.apply(\\"061_connections', 'run.apply(\\"061_\\" + \\"conection'
        )
    )
    done = project.step(crm)
    assert done.code == 1, done.text
    assert (
        "FAILED: The run cannot go on. What it committed before is in the ledger.\n  no block is "
        "called" in done.text
    )
    assert (
        "remedy:   did you mean 061_connections_config? correct the name in the cell\n" in done.text
    )


def test_a_table_that_stays_locked(crm: Database, project: Project) -> None:
    before = [("010_import_batches", "applied"), ("020_stage_mappings", "applied")]
    with crm.connect(application_name="report") as reader, reader.transaction():
        reader.execute("SELECT FROM deals")
        done = project.run(crm, "-p", "lock_timeout", "150ms", "-p", "lock_budget", "1s")
        assert_failed(done, project)
        assert "030_deals_source_data: its locks could not be had in" in done.text
        assert str(reader.info.backend_pid) in done.text
        assert "remedy:   wait until these sessions have ended their transactions" in done.text
        assert (
            "ALTER TABLE deals ADD COLUMN IF NOT EXISTS source_data"
            in done.cells["deals-source-data"]
        )
        assert ledger(crm) == before
        assert not crm.execute(
            "SELECT 1 FROM pg_attribute WHERE attrelid = 'deals'::regclass AND attname = "
            "'source_data'"
        )
    assert_goes_on(crm, project, before=before)
