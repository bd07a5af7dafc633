"""What code of a block leaves in the session, where no parser sees it: it is for no other block,
and keeps nobody else waiting.
"""

from __future__ import annotations

import pytest
from support.databases import Database
from support.projects import Project

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

LEAVES = """
CREATE TABLE days (said text, day date, path text);
DO $$ BEGIN
  PERFORM set_config(name, value, false) FROM (VALUES
    ('standard_conforming_strings', 'off'), ('DateStyle', 'ISO, DMY'), ('TimeZone', 'Asia/Tokyo'),
    ('search_path', 'pg_catalog'), ('session_replication_role', 'replica'),
    ('default_transaction_read_only', 'on'), ('extra_float_digits', '-15'),
    ('statement_timeout', '1min')) AS s (name, value);
END $$;
INSERT INTO public.days VALUES ('same block', '02/03/2026', current_setting('search_path'));
"""
TEMPORARY = """
DO $$ BEGIN
  CREATE TEMP TABLE accounts (id int);
  PERFORM set_config('role', 'pg_monitor', false);
END $$;
"""
# If a backslash escaped, it would be another text, and the end of the string another one.
TRICK = r"""
CREATE TABLE notes (body text DEFAULT 'C:\new', day date DEFAULT '02/03/2026');
INSERT INTO notes VALUES ('C:\new', '02/03/2026');
INSERT INTO notes VALUES ('a\' || '; DROP TABLE days; COMMIT; --', now());
"""


def test_the_next_block_finds_the_session_as_it_was(crm: Database, project: Project) -> None:
    files = project.root / "migrations"
    files.mkdir()
    for name, sql in {
        "001_leaves.sql": LEAVES,
        "002_temp.sql": TEMPORARY,
        "003_trick.sql": TRICK,
        "004_column.sql": "ALTER TABLE accounts ADD COLUMN zz int;",
    }.items():
        (files / name).write_text(sql)
    crm.load(
        "GRANT CREATE, USAGE ON SCHEMA public TO pg_monitor; GRANT INSERT ON accounts TO pg_monitor"
    )
    assert project.command("import", files, "left").code == 0
    project.env["CRM_URL"] = crm.url
    run = "run", "003", "--target", "env:CRM_URL"
    done = project.command(*run)
    assert done.code == 0, done.text
    # as psql has it: within its own block what was set holds
    assert crm.execute("SELECT said, day::text, path FROM days") == [
        ("same block", "2026-03-02", "pg_catalog")
    ]
    assert crm.execute("SELECT body, day::text FROM notes WHERE body LIKE 'C%'") == [
        (r"C:\new", "2026-02-03")
    ]
    zz = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.accounts'::regclass AND attname = 'zz'"
    assert crm.execute(zz) == [(1,)]
    assert project.command(*run).code == 0
    drift = project.command("drift", "--target", "env:CRM_URL")
    assert drift.code == 0, drift.text


ENCODED = """
CREATE TABLE words (word text);
COMMENT ON TABLE words IS 'größe';
DO $$ BEGIN PERFORM set_config('client_encoding', 'LATIN1', true); END $$;
COMMENT ON COLUMN words.word IS 'grün';
"""
SHORT = """
CREATE TABLE others (id int);
DO $$ BEGIN
  PERFORM set_config('statement_timeout', '1ms', true);
  PERFORM set_config('idle_in_transaction_session_timeout', '1ms', true);
END $$;
"""
LONG = """
CREATE TABLE long (said text);
SET LOCAL statement_timeout = '7min';
INSERT INTO long VALUES (current_setting('statement_timeout'));
"""


def test_what_records_a_block_has_the_settings_of_the_run(crm: Database, project: Project) -> None:
    files = project.root / "migrations"
    files.mkdir()
    (files / "001_encoded.sql").write_text(ENCODED)
    (files / "002_short.sql").write_text(SHORT)
    (files / "003_long.sql").write_text(LONG)
    assert project.command("import", files, "settings").code == 0
    project.env["CRM_URL"] = crm.url
    for _ in range(2):
        done = project.command("run", "003", "--target", "env:CRM_URL")
        assert done.code == 0, done.text
    ((recorded,),) = crm.execute("SELECT sql FROM pgrunbook.blocks WHERE block = '001_encoded'")
    assert "größe" in recorded
    assert crm.execute("SELECT said FROM long") == [("7min",)]


@pytest.mark.parametrize("closes", ["CLOSE ALL", "DEALLOCATE ALL"])
def test_what_closes_the_cursors_of_the_run_is_told_what_to_do(
    crm: Database, project: Project, closes: str
) -> None:
    files = project.root / "migrations"
    files.mkdir()
    (files / "001_closes.sql").write_text(
        f"ALTER TABLE accounts ADD COLUMN zz int;\nDO $$ BEGIN EXECUTE '{closes}'; END $$;\n"
    )
    assert project.command("import", files, "closes").code == 0
    done = project.step(crm, runbook="003_closes")
    assert done.code == 1, done.text
    assert "have the block's code close cursors" in done.text


HELD = """
CREATE TABLE held AS SELECT objid, objsubid, pid = pg_backend_pid() AS own FROM pg_locks
 WHERE locktype = 'advisory' AND (objid = 42 OR pid = pg_backend_pid());
"""


@pytest.mark.parametrize(
    "leaves", ["pg_advisory_lock(42)", "pg_advisory_lock_shared(4, 2)", "pg_advisory_unlock_all()"]
)
def test_the_next_block_finds_the_locks_of_a_run_and_no_other(
    crm: Database, project: Project, leaves: str
) -> None:
    files = project.root / "migrations"
    files.mkdir()
    (files / "001_leaves.sql").write_text(f"CREATE TABLE one AS SELECT {leaves} IS NULL AS done;\n")
    (files / "002_held.sql").write_text(HELD)
    assert project.command("import", files, "left").code == 0
    project.env["CRM_URL"] = crm.url
    done = project.command("run", "003", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    assert crm.execute("SELECT objsubid, own FROM held") == [(1, True)] * 2
