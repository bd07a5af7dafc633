"""Mode `revert`: what runs have applied is undone, with the same evidence; and nothing else is
lost.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.applying import begin
from support.databases import Database, Role, temporary
from support.projects import RUNBOOK, Project
from support.refusals import problems

from pgrunbook.ledger import write
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.blocks import Block

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.newest]
on_18 = pytest.mark.parametrize("server", [18], indirect=True)

WITHOUT_LEDGER = "--exclude-schema=pgrunbook"
REVERT = ("-p", "mode", "revert")
BLOCKS = [
    "010_import_batches",
    "020_stage_mappings",
    "030_deals_source_data",
    "040_contacts_source_data",
    "050_accounts_source_data",
    "060_connections_source_label",
    "061_connections_config",
    "062_connections_last_sync_at",
    "070_admit_csv_import",
    "080_validate_csv_import",
]
BATCH = (
    "INSERT INTO import_batches (workspace_id, entity_type, filename, row_count)"
    " SELECT id, 'deal', 'x', 1 FROM workspaces LIMIT 1"
)


def shape(database: Database) -> str:
    return database.dump("--schema-only", WITHOUT_LEDGER)


def events(database: Database) -> dict[str, str]:
    """The ledger's last word on each block."""
    return dict(database.execute("SELECT block, event FROM pgrunbook.blocks ORDER BY id"))


def test_revert_brings_what_was_before_back_byte_for_byte(crm: Database, project: Project) -> None:
    before = crm.dump(WITHOUT_LEDGER)
    assert project.step(crm).code == 0
    applied = crm.dump(WITHOUT_LEDGER)
    runbook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    whole = runbook.read_text()
    runbook.write_text(whole.replace("run.revert()", "pass"))
    left_out = project.step(crm, *REVERT)
    assert (left_out.code, crm.dump(WITHOUT_LEDGER)) == (1, applied)
    assert "010_import_batches: is not reverted\n" in left_out.text
    runbook.write_text(whole)
    done = project.run(crm, "--mode", "revert")
    assert done.code == 0, done.text
    assert crm.dump(WITHOUT_LEDGER) == before
    assert "none of 16 blocks is applied any more: 10 reverted" in done.text
    assert "below" in done.cells["verdict"]
    for text in ("DROP TABLE stage_mappings", "ACCESS EXCLUSIVE", "removed", "PASSED"):
        assert text in done.cells["revert"]
    assert set(events(crm).values()) == {"reverted", "adopted"}

    again = project.step(crm, *REVERT)
    assert (again.code, crm.dump(WITHOUT_LEDGER)) == (0, before), again.text
    once_more = project.step(crm)
    assert (once_more.code, crm.dump(WITHOUT_LEDGER)) == (0, applied), once_more.text


def test_a_notebook_that_reverts_before_it_verifies_ends_as_it_did(
    crm: Database, project: Project
) -> None:
    """As ours did until version 0.1, and copies of them do."""
    before = crm.dump(WITHOUT_LEDGER)
    assert project.step(crm).code == 0
    path = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    notebook = json.loads(path.read_text())
    revert = notebook["cells"].pop()
    place = [cell["id"] for cell in notebook["cells"]].index("after")
    notebook["cells"].insert(place, revert)
    path.write_text(json.dumps(notebook))
    done = project.run(crm, "--mode", "revert")
    assert (done.code, crm.dump(WITHOUT_LEDGER)) == (0, before), done.text
    assert "removed" in done.cells["difference"]
    assert "PASSED" in done.cells["verdict"]


@on_18
def test_revert_of_an_enum_that_nothing_else_uses(crm: Database, project: Project) -> None:
    crm.load(
        "ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;"
        "CREATE TYPE kind AS ENUM ('hubspot', 'salesforce', 'pipedrive');"
        "ALTER TABLE connections ALTER source_type TYPE kind USING source_type::kind"
    )
    before = shape(crm)
    assert project.step(crm).code == 0
    assert "'csv_import'" in shape(crm)
    done = project.step(crm, *REVERT)
    assert (done.code, shape(crm)) == (0, before), done.text


@on_18
def test_what_was_there_before_stays(crm: Database, project: Project) -> None:
    """A column that a run only adopted; and a block of which a part was there, whose script would
    drop all of it.
    """
    file = project.root / "sql" / RUNBOOK / "deploy" / "040_contacts_source_data.sql"
    crm.load(file.read_text())
    assert project.step(crm).code == 0
    done = project.step(crm, *REVERT)
    assert done.code == 0, done.text
    kept = (
        "SELECT count(*) FROM information_schema.columns WHERE column_name = 'source_data' AND "
        "table_name = %s"
    )
    assert [crm.execute(kept, [table]) for table in ("contacts", "deals")] == [[(1,)], [(0,)]]


@on_18
def test_a_block_that_was_there_in_part_is_left_to_its_dba(crm: Database, project: Project) -> None:
    path = project.root / "sql" / RUNBOOK / "deploy" / "010_import_batches.sql"
    create = path.read_text().partition("CREATE INDEX")[0]
    crm.load(create.replace("-- squawk", "--"))
    assert project.step(crm).code == 0
    before = shape(crm)
    refused = project.step(crm, *REVERT)
    assert (refused.code, shape(crm)) == (2, before)
    assert "010_import_batches: was there in part before it was applied" in refused.text
    assert "table public.import_batches" in refused.text


@on_18
def test_nothing_that_is_held_is_lost_unless_it_is_said_block_by_block(
    crm: Database, project: Project
) -> None:
    assert project.step(crm).code == 0
    crm.load(BATCH)
    crm.execute(
        "UPDATE deals SET source_data = '{\"a\": 1}' WHERE id = (SELECT id FROM deals LIMIT 1)"
    )
    before = crm.dump()
    refused = project.step(crm, *REVERT)
    assert (refused.code, crm.dump()) == (2, before)
    assert "import_batches: has rows" in refused.text
    assert "deals.source_data: has values" in refused.text  # every problem at once
    ways = set(re.findall(r"keep them elsewhere; or, if it may go: (.*)", refused.text))
    (way,) = {" ".join(sorted(re.split("[ ,]", each))) for each in ways}
    assert way == "-p 010_import_batches 030_deals_source_data discard"
    assert "contacts" not in refused.text

    one = project.step(crm, *REVERT, "-p", "discard", "010_import_batches, 010_import_batch")
    assert one.code == 2
    assert "no block is called 010_import_batch" in one.text
    assert "deals.source_data: has values" in one.text
    assert "import_batches: has rows" not in one.text

    both = project.step(crm, *REVERT, "-p", "discard", "010_import_batches,030_deals_source_data")
    assert both.code == 0, both.text


@on_18
def test_rows_that_a_policy_hides_are_not_lost(
    crm: Database, project: Project, login_role: Callable[..., Role]
) -> None:
    """From the owner too, with FORCE ROW LEVEL SECURITY. A run as superuser sees them anyhow."""
    role = login_role(crm)
    tables = crm.execute(
        "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        "'public'::regnamespace"
    )
    crm.load("".join(f"ALTER TABLE {name} OWNER TO {role.name};" for (name,) in tables))
    crm.load(
        f"GRANT CREATE ON DATABASE {crm.name} TO {role.name}; GRANT ALL ON SCHEMA public TO "
        f"{role.name}"
    )
    project.env["CRM_URL"] = role.url
    assert project.step("env:CRM_URL").code == 0
    crm.load(BATCH)
    crm.execute(
        "UPDATE deals SET source_data = '{\"a\": 1}' WHERE id = (SELECT id FROM deals LIMIT 1)"
    )
    for table in ("import_batches", "deals"):
        crm.load(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    before = crm.dump()
    refused = project.step("env:CRM_URL", *REVERT)
    assert (refused.code, crm.dump()) == (2, before)
    assert 'query would be affected by row-level security policy for table "deals"' in refused.text
    # which is not as the block has left it, either
    assert "table public.import_batches was altered by hand" in refused.text


@on_18
def test_a_column_of_a_type_that_has_no_equality(crm: Database, project: Project) -> None:
    """json, with and without a value that is not its default."""
    for kind in ("deploy", "verify"):
        path = project.root / "sql" / RUNBOOK / kind / "030_deals_source_data.sql"
        path.write_text(
            path.read_text().replace("JSONB", "JSON") if kind == "deploy" else "SELECT 1;\n"
        )
    assert project.step(crm, upto="030_deals_source_data").code == 0
    crm.execute("UPDATE deals SET source_data = '[]' WHERE id = (SELECT id FROM deals LIMIT 1)")
    refused = project.step(crm, *REVERT)
    assert (refused.code, "deals.source_data: has values" in refused.text) == (2, True), (
        refused.text
    )
    crm.execute("UPDATE deals SET source_data = '{}'")
    done = project.step(crm, *REVERT)
    assert done.code == 0, done.text


# A CHECK of deals alone; an enum of connections; a lookup table of accounts and contacts, whose row
# is added once.
SHARED = """
ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;
CREATE TYPE "Kind" AS ENUM ('hubspot', 'salesforce', 'pipedrive');
ALTER TABLE connections ALTER source_type TYPE "Kind" USING source_type::"Kind";
CREATE TABLE sources (code text PRIMARY KEY);
INSERT INTO sources SELECT DISTINCT source FROM accounts UNION SELECT DISTINCT source FROM contacts;
ALTER TABLE accounts ADD FOREIGN KEY (source) REFERENCES sources;
ALTER TABLE contacts ADD FOREIGN KEY (source) REFERENCES sources ON DELETE CASCADE;
"""
HELD = {"contacts": "source", "connections": "source_type", "deals": "source"}


@on_18
def test_a_value_that_a_row_holds_refuses_the_revert(crm: Database, project: Project) -> None:
    """Before anything is undone, each column with the others and with rows that would be lost; no
    `discard` helps.
    """
    crm.load(SHARED)
    assert project.step(crm).code == 0
    for table, column in HELD.items():
        crm.execute(
            f"UPDATE {table} SET {column} = 'csv_import' WHERE id = (SELECT id FROM {table} LIMIT "
            "1)"
        )
    crm.load(BATCH)
    before = crm.dump()
    refused = project.step(crm, *REVERT, "-p", "discard", "070_admit_csv_import")
    assert (refused.code, crm.dump()) == (2, before)
    assert problems(refused) == [
        "import_batches: has rows",
        *(f"{table}.{column}: rows hold 'csv_import'" for table, column in HELD.items()),
    ]
    for table, column in HELD.items():
        assert f"first: SELECT * FROM {table} WHERE {column} = 'csv_import'\n" in refused.text
        crm.execute(f"DELETE FROM {table} WHERE {column} = 'csv_import'")
    goes_on = project.step(crm, *REVERT, "-p", "discard", "010_import_batches")
    assert goes_on.code == 0, goes_on.text
    assert crm.execute("SELECT 1 FROM sources WHERE code = 'csv_import'") == []


@on_18
def test_where_a_value_is_not_taken_back_rows_may_hold_it(crm: Database, project: Project) -> None:
    """Free text took it before, and does afterwards."""
    assert project.step(crm).code == 0
    crm.execute(
        "UPDATE contacts SET source = 'csv_import' WHERE id = (SELECT id FROM contacts LIMIT 1)"
    )
    done = project.step(crm, *REVERT)
    assert done.code == 0, done.text


@on_18
def test_rows_that_come_while_it_waits_are_seen_under_the_lock(
    crm: Database, project: Project
) -> None:
    """The application writes into the new table between the preconditions and the block."""
    assert project.step(crm).code == 0
    cells = json.loads((notebook := project.root / "runbooks" / f"{RUNBOOK}.ipynb").read_text())
    (revert,) = [cell for cell in cells["cells"] if cell["id"] == "revert"]
    writes = f"psycopg.connect(os.environ['CRM_URL'], autocommit=True).execute({BATCH!r})"
    revert["source"] = f"import os, psycopg\n{writes}\n{revert['source'][0]}"
    notebook.write_text(json.dumps(cells))
    done = project.step(crm, *REVERT)
    assert done.code == 1
    assert "The revert failed and was rolled back: the block is there as it was." in done.text
    assert "import_batches has rows" in done.text
    assert crm.execute("SELECT count(*) FROM import_batches") == [(1,)]


@on_18
def test_what_was_altered_since_is_not_dropped(crm: Database, project: Project) -> None:
    """That, and each block without a revert script, is said at once."""
    assert project.step(crm).code == 0
    crm.execute("ALTER TABLE stage_mappings ADD COLUMN by_hand text")
    revert = project.root / "sql" / RUNBOOK / "revert"
    for name in ("030_deals_source_data", "061_connections_config"):
        (revert / f"{name}.sql").unlink()
    refused = project.step(crm, *REVERT)
    assert refused.code == 2
    assert problems(refused) == [
        "020_stage_mappings: table column public.stage_mappings.by_hand was added by hand",
        "030_deals_source_data: has no revert script",
        "061_connections_config: has no revert script",
    ]


WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def block(name: str) -> Block:
    return Block(name, "", "", "", (), ())


@on_18
@pytest.mark.parametrize("schema", ["public", "other"])
def test_a_later_runbook_on_the_same_tables_is_reverted_first(
    crm: Database, project: Project, schema: str
) -> None:
    """An index on the column goes with it, without a word from PostgreSQL."""
    assert project.step(crm).code == 0
    later = str(uuid.uuid4())
    target = Target("test", crm.url)
    name = "002_later" if schema == "public" else "000_later"
    with connect(target, schema="public") as conn:
        begin(conn, later, name, schema=schema)
        row = write.about(block("010_later"), reason="", sql="")
        made = [["index", "public.i", None, {"definition": "x"}, "public.deals"]]
        write.write_block(conn, later, row, event="applied", effect=made, started_at=WHEN)
    refused = project.step(crm, *REVERT)
    assert refused.code == 2
    where = name if schema == "public" else f"{name} in schema {schema}"
    assert f"{where}: is in place, and works on the same tables" in refused.text
    assert "010_later on deals" in refused.text
    assert ("-p schema other" in refused.text) == (schema == "other")
    with connect(target, schema="public") as conn:
        write.write_block(conn, later, row, event="reverted", started_at=WHEN, revision=1)
        if schema == "other":
            return
        begun = 'DROP INDEX CONCURRENTLY "j"; CREATE INDEX CONCURRENTLY j ON contacts (id)'
        row = write.about(block("020_broken_off"), reason="", sql=begun)
        write.write_block(conn, later, row, event="started", started_at=WHEN)
    broken_off = project.step(crm, *REVERT)
    assert broken_off.code == 2
    assert "found:    020_broken_off on contacts" in broken_off.text
    assert "010_later" not in broken_off.text
    with connect(target, schema="public") as conn:
        write.write_block(conn, later, row, event="reverted", started_at=WHEN, revision=1)
    assert project.step(crm, *REVERT).code == 0


@contextmanager
def sample(database: Database) -> Iterator[Database]:
    with temporary(database.server, template="sample") as copy:
        yield copy


@pytest.mark.long
@on_18
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_prefix_of_the_blocks_can_be_reverted(
    crm: Database, project: Project, data: Any
) -> None:
    """apply some, revert, apply all: the same as one apply; and after the revert, as before."""
    count = data.draw(st.integers(0, len(BLOCKS)))
    with sample(crm) as database:
        before = shape(database)
        project.step(database, upto=BLOCKS[count - 1] if count else "")
        done = project.step(database, *REVERT)
        assert (done.code, shape(database)) == (0, before), done.text
        assert project.step(database).code == 0
        whole = shape(database)
    with sample(crm) as other:
        assert project.step(other).code == 0
        assert shape(other) == whole
