"""The ledger: what it says of each statement, lock and attempt; that it cannot be changed; that it
comes up to date.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.applying import begin
from support.databases import Database, Role
from support.projects import ROOT, RUNBOOK, Project

from pgrunbook.errors import Verdict
from pgrunbook.ledger import install, ledger, write
from pgrunbook.ledger.run_rows import Recorder
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.facts import Fact
from pgrunbook.runbooks.parameters import Parameters

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

TABLES = (
    "versions",
    "runs",
    "blocks",
    "statements",
    "locks",
    "attempts",
    "verdicts",
    "heads",
    "readings",
    "requests",
    "servers",
    "backfills",
    "batches",
    "skipped_rows",
    "pauses",
)
DATA = [f"--table=pgrunbook.{name}" for name in ("runs", "blocks", "verdicts")]
VERSION_1 = ROOT / "src" / "pgrunbook" / "sql" / "ledger" / "001.sql"


def test_statements_and_locks_commit_with_their_block(crm: Database, project: Project) -> None:
    done = project.run(crm)
    assert done.code == 0, done.text
    block = "030_deals_source_data"
    statements = crm.execute(
        "SELECT number, event, sql FROM pgrunbook.statements WHERE block = %s ORDER BY id", [block]
    )
    assert [(number, event) for number, event, _ in statements] == [
        (1, "finished"),
        (2, "finished"),
    ]
    assert statements[0][2].startswith("ALTER TABLE deals ADD COLUMN IF NOT EXISTS source_data")
    held = (
        "SELECT number, relation, mode, held_ms > 0, rewritten FROM pgrunbook.locks WHERE "
        "block = %s"
    )
    assert crm.execute(held, [block]) == [(1, "deals", "ACCESS EXCLUSIVE", True, False)]
    assert "reads and writes" in done.cells["deals-source-data"]
    made = "SELECT count(*) FROM pgrunbook.locks WHERE relation LIKE '%import_batches%'"
    assert crm.execute(made) == [(0,)]  # nobody else could have wanted what was not there before


def test_a_table_that_is_rewritten_is_said_to_be(crm: Database, project: Project) -> None:
    path = project.root / "sql" / RUNBOOK / "deploy" / "030_deals_source_data.sql"
    path.write_text(
        path.read_text().replace("DEFAULT '{}'", "DEFAULT jsonb_build_object('n', random())")
    )
    assert project.run(crm).code == 0
    held = "SELECT relation, mode FROM pgrunbook.locks WHERE rewritten AND mode LIKE 'ACCESS%'"
    assert ("deals", "ACCESS EXCLUSIVE") in crm.execute(held)


def test_a_lock_held_longer_than_the_application_is_to_wait_is_in_the_verdict(
    crm: Database, project: Project
) -> None:
    """A function that takes its time for the rewrite stands for a big table."""
    crm.load(
        "CREATE FUNCTION slow() RETURNS jsonb LANGUAGE sql VOLATILE"
        " AS $$ SELECT jsonb_build_object('slept', pg_sleep(0.5)::text) $$;"
        "DELETE FROM deals WHERE id <> (SELECT id FROM deals LIMIT 1)"
    )
    path = project.root / "sql" / RUNBOOK / "deploy" / "030_deals_source_data.sql"
    path.write_text(path.read_text().replace("DEFAULT '{}'", "DEFAULT slow()"))
    done = project.run(crm)
    assert done.code == 0, done.text
    assert "ACCESS EXCLUSIVE longer than 150ms: deals for" in done.cells["verdict"]


def test_attempts_are_recorded_with_who_was_in_the_way(crm: Database, project: Project) -> None:
    with crm.connect(application_name="slow report") as reader, reader.transaction():
        reader.execute("SELECT 1 FROM deals WHERE name = 'secret'")
        assert project.run(crm, "-p", "lock_budget", "1s").code == 1
        pid = reader.info.backend_pid
    attempts = crm.execute(
        "SELECT number, got_locks, waited_ms, blockers FROM pgrunbook.attempts ORDER BY id"
    )
    assert attempts[0][:2] == (1, False)
    assert attempts[0][2] >= 150
    assert (attempts[0][3][0]["pid"], attempts[0][3][0]["application"]) == (pid, "slow report")
    assert "secret" not in str(attempts)


def test_a_run_whose_beginning_was_interrupted_can_begin_again(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row may be there: it waited, committed, for a standby."""
    sessions = Sessions(Target("test", empty.url), "public", "test")
    declared = Parameters.model_validate({"target": "env:X"})
    recorder = Recorder(sessions, str(uuid.uuid4()), "900_x", "kim", declared)
    start = write.start

    def interrupted(*arguments: Any, **named: Any) -> None:
        start(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorder.begin()
    monkeypatch.setattr(write, "start", start)
    recorder.begin()
    recorder.end(Verdict.PASSED, "as before")
    sessions.close()
    assert empty.execute("SELECT count(*) FROM pgrunbook.runs") == [(1,)]


# What a copy of a block's row cannot have, or has of its own: the copied run is over, and only the
# latest row on each block is copied.
OF_THE_ORIGINAL = ["id", "reason", "sql_sha256", "started_at", "finished_at", "rows_written"]


def test_a_rehearsal_has_every_column_of_the_rows_that_it_copies(
    empty: Database, crm: Database
) -> None:
    """Whoever adds a column gives it a value here."""
    run_id = str(uuid.uuid4())
    about = {
        "block": "010_block",
        "reason": "absent",
        "sql": "SELECT 1",
        "source_sha256": "1",
        "tree_sha256": "2",
        "sql_sha256": "3",
        "variants": ["check"],
        "variables": [{"table": "deals"}],
        "kept": [["table", "public.deals"]],
    }
    effect = [["table", "public.t", None, {"kind": "table"}, None]]
    rows = []
    with (
        connect(Target("one", empty.url), schema="public") as one,
        connect(Target("other", crm.url), schema="public") as other,
    ):
        for conn in (one, other):
            install.install(conn)
        begin(one, run_id, "010_x")
        write.write_block(
            one,
            run_id,
            write.as_json(about),
            event="applied",
            started_at=datetime(2026, 1, 2, tzinfo=UTC),
            facts={Fact("value", "deals", "source"): "csv_import"},
            effect=effect,
            rows_written=[{"relation": "t", "inserted": 1}],
            revision=1,
        )
        entries = ledger.entries(one, "010_x", "public")
        write.repeat(other, "010_x", "public", entries.values(), {"010_block": effect}, {})
        for conn in (one, other):
            query = "SELECT to_jsonb(b) - %s::text[] FROM pgrunbook.blocks b"
            rows += conn.execute(query, [OF_THE_ORIGINAL]).fetchall()
    assert rows[0] == rows[1]
    assert None not in rows[0][0].values()


def test_the_last_verdict_of_a_run_counts(empty: Database) -> None:
    """A cell failed, and was run again in JupyterLab."""
    run_id = str(uuid.uuid4())
    with connect(Target("test", empty.url), schema="public") as conn:
        install.install(conn)
        begin(conn, run_id)
        assert ledger.verdict(conn, run_id) is None
        write.finish(conn, run_id, Verdict.FAILED, "a statement failed")
        write.finish(conn, run_id, Verdict.PASSED, "in place")
        assert ledger.verdict(conn, run_id) == (Verdict.PASSED, "in place")
        (listed,) = ledger.runs(conn, "900_x", "public")
    assert (listed["verdict"], listed["reason"]) == (Verdict.PASSED, "in place")


def test_it_says_why_a_run_was_given_up(crm: Database, project: Project) -> None:
    """By hand, as what steps through the cells does at the end; or by the cell that begins one, run
    again.
    """
    project.step(crm, upto="010_import_batches")
    runbook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    cell, again = (
        'run.apply(\\"020_stage_mappings\\")',
        f'\\nrun = pgrunbook.begin(\\"{RUNBOOK}\\", globals())',
    )
    runbook.write_text(runbook.read_text().replace(cell, cell + again))
    project.step(crm)
    assert crm.execute("SELECT verdict, reason FROM pgrunbook.verdicts ORDER BY id") == [
        ("interrupted", "given up by hand"),
        ("interrupted", "given up for another run in the same kernel"),
    ]


@pytest.mark.parametrize(
    "change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
@pytest.mark.parametrize("table", TABLES)
def test_no_row_can_be_changed_even_by_a_superuser(
    empty: Database, table: str, change: str
) -> None:
    with empty.connect() as conn:
        install.install(conn)
        (column,) = conn.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2",
            [f"pgrunbook.{table}"],
        ).fetchone() or [""]
        name = sql.Identifier("pgrunbook", table)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            conn.execute(sql.SQL(change).format(name, *[sql.Identifier(column)] * 2))


def test_its_owner_may_add_rows_and_has_given_up_changing_them(
    empty: Database, login_role: type[Role]
) -> None:
    """Foreign keys lock the row that they refer to, and that takes the privilege to change it: one
    column is left.
    """
    role = login_role(empty)
    empty.execute(
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
            *map(sql.Identifier, (empty.name, role.name))
        )
    )
    with Session.opened(role.url) as conn:
        install.install(conn)
        run_id = str(uuid.uuid4())
        begin(conn, run_id, "001_x")
        write.note_statement(conn, run_id, "010_x", 1, "SELECT 1")
        for table in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
                conn.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("pgrunbook", table)))


MAY = """
SELECT o.kind, a.privilege_type
  FROM (SELECT relname::text, relacl, relowner FROM pg_class WHERE relnamespace = 'pgrunbook'::regnamespace
        UNION ALL SELECT nspname, nspacl, nspowner FROM pg_namespace WHERE nspname = 'pgrunbook') AS o (kind, acl, owner),
       aclexplode(acl) AS a
 WHERE a.grantee <> o.owner
"""


@pytest.mark.parametrize("known", [0, 1], ids=["new", "older"])
def test_whom_default_privileges_let_in_may_read_it_alone(
    empty: Database, login_role: type[Role], known: int
) -> None:
    """Who was granted more in an older ledger keeps that."""
    role = login_role(empty)
    if known:
        empty.load(install.sql("001"))
        empty.load(
            "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (1, '0.1.0');"
            f"GRANT INSERT ON pgrunbook.verdicts TO {role.name}"
        )
    for what in ("TABLES", "SEQUENCES", "SCHEMAS"):
        for who in (role.name, "PUBLIC"):
            empty.load(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {what} TO {who}")
    with connect(Target("test", empty.url), schema="public") as conn:
        install.install(conn)
    rights = {*empty.execute(MAY)}
    assert {"SELECT", "USAGE"} >= {right for of, right in rights if of != "verdicts"} >= {"SELECT"}
    assert (("verdicts", "INSERT") in rights) is bool(known)


def test_every_table_and_column_is_commented(empty: Database) -> None:
    with empty.connect() as conn:
        install.install(conn)
    without = """
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'pgrunbook'::regnamespace AND c.relkind = 'r' AND a.attnum >= 0
           AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
    """
    assert empty.execute(without) == []
    assert {
        name
        for (name,) in empty.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'pgrunbook'"
        )
    } == {*TABLES}


def test_a_ledger_of_version_1_is_brought_up_to_date_by_the_next_run(
    crm: Database, project: Project
) -> None:
    """With what a run that stopped half way had written into it; reading it needs no newer
    version.
    """
    with crm.connect() as reader, reader.transaction():
        reader.execute("SELECT 1 FROM deals")
        assert project.step(crm, "-p", "lock_budget", "300ms").code == 1
    crm.load(
        "ALTER TABLE pgrunbook.runs DROP plan; ALTER TABLE pgrunbook.blocks DROP variables, DROP "
        "kept, DROP effect, DROP rows_written"
    )
    rows = crm.dump("--data-only", *DATA)
    crm.execute("DROP SCHEMA pgrunbook CASCADE")
    crm.psql("-f", VERSION_1)
    crm.execute("INSERT INTO pgrunbook.versions (version, tool_version) VALUES (1, '0.1.0')")
    crm.psql(stdin=rows)

    before = crm.dump()
    status = project.command("status", "--target", "env:CRM_URL")
    assert (status.code, crm.dump()) == (0, before), status.text
    assert project.step(crm, "--mode", "plan").code == 0
    assert crm.dump() == before

    done = project.run(crm)
    assert done.code == 0, done.text
    assert crm.execute("SELECT version FROM pgrunbook.versions ORDER BY 1") == [
        (1,),
        (2,),
        (3,),
        (4,),
        (5,),
        (6,),
        (7,),
        (8,),
    ]
    assert crm.execute("SELECT DISTINCT block FROM pgrunbook.statements ORDER BY 1 LIMIT 1") == [
        ("030_deals_source_data",)
    ]


def test_a_run_that_died_is_closed_by_the_next_that_may_write(
    applied: Database, project: Project
) -> None:
    died = str(uuid.uuid4())
    with applied.connect() as conn:
        begin(conn, died, RUNBOOK)
    project.env["CRM_URL"] = applied.url
    shown = project.command("status", "--target", "env:CRM_URL").text
    assert (
        f"last run {died[:8]} by ada: died: committed: nothing; last known: it began"
        in " ".join(shown.split())
    )

    plan = project.run(applied, "--mode", "plan")
    assert "at work, or died" in plan.cells["target"]
    verdict = "SELECT verdict, reason FROM pgrunbook.verdicts WHERE run_id = %s"
    assert applied.execute(verdict, [died]) == []

    assert project.run(applied).code == 0
    ((ended, reason),) = applied.execute(verdict, [died])
    assert ended == "interrupted"
    assert reason.startswith("it died; committed: nothing; last known: it began")
