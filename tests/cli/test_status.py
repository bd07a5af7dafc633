"""`pgrunbook status`: blocks that are pending or done, as text and as JSON; it only looks."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from support.databases import Database, Role
from support.projects import PATIENCE_S, ROOT, RUNBOOK, Outcome, Project, wait_for
from support.refusals import assert_presentable, problems

from pgrunbook import controls
from pgrunbook.cli import status as status_report
from pgrunbook.ledger import install
from pgrunbook.ledger.server_match import ServerIdentity
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

PENDING = {
    "state": "pending",
    "edited": False,
    "when": None,
    "run": None,
    "elapsed_ms": None,
    "locks": [],
    "attempts": 0,
}
BLOCKS = [path.stem for path in sorted((ROOT / "sql" / RUNBOOK / "deploy").iterdir())]


def status(project: Project, database: Database, *arguments: str) -> Outcome:
    """See that the command leaves the database as it is."""
    project.env["CRM_URL"] = database.url
    before = database.dump()
    done = project.command("status", "--target", "env:CRM_URL", *arguments)
    assert database.dump() == before
    return done


def named(database: Database) -> str:
    """What a plan calls the server."""
    with connect(Target("test", database.url), schema="public") as conn:
        return ServerIdentity.of(conn).text


def report(project: Project, database: Database, *arguments: str) -> Any:
    done = status(project, database, *(arguments or (RUNBOOK,)), "--json")
    assert done.code == 0, done.text
    return json.loads(done.text)


def test_before_any_run_all_is_pending(crm: Database, project: Project) -> None:
    every = status(project, crm)
    assert re.findall(r"(\w+) on env:CRM_URL", every.text) == [RUNBOOK, "002_import_batches_lookup"]
    done = status(project, crm, RUNBOOK)
    assert done.code == 0, done.text
    assert re.findall(r"^│ (\S+) +│ (\w+) +│", done.text, re.MULTILINE) == [
        (block, "pending") for block in BLOCKS
    ]
    assert report(project, crm, "001") == [
        {
            "runbook": RUNBOOK,
            "target": "env:CRM_URL",
            "server": f"{named(crm)}; the ledger names none yet",
            "schema": "public",
            "blocks": [PENDING | {"block": block} for block in BLOCKS],
            "without_files": [],
            "last_run": None,
        }
    ]


def test_after_a_run_all_is_done_and_says_by_which(crm: Database, project: Project) -> None:
    ran = project.run(crm, "-p", "operator", "ada")
    (found,) = report(project, crm)
    assert {block["block"].partition(":")[0] for block in found["blocks"]} == set(BLOCKS)
    assert {block["state"] for block in found["blocks"]} == {"applied", "adopted"}
    assert all(block["elapsed_ms"] > 0 for block in found["blocks"])
    (lock,) = found["blocks"][2]["locks"]
    assert (lock["relation"], lock["mode"], lock["rewritten"]) == (
        "deals",
        "ACCESS EXCLUSIVE",
        False,
    )
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", block["when"]) for block in found["blocks"]
    )
    (run,) = {block["run"] for block in found["blocks"]}
    assert ran.notebook
    assert run[:8] in ran.notebook.name
    assert (found["last_run"]["run"], found["last_run"]["verdict"]) == (run, "passed")
    text = status(project, crm, RUNBOOK).text
    assert f"last run {run[:8]} by ada: passed" in text
    assert "pending" not in text


def test_after_a_failed_run_it_says_where_that_stopped(crm: Database, project: Project) -> None:
    with crm.connect() as reader, reader.transaction():
        reader.execute("SELECT FROM deals")
        assert project.step(crm, "-p", "lock_budget", "300ms").code == 1
        (found,) = report(project, crm)
    states = {block["block"]: block["state"] for block in found["blocks"]}
    assert list(states.values()) == ["applied", "applied", *["pending"] * (len(BLOCKS) - 2)]
    assert found["last_run"]["verdict"] == "failed"
    assert "lock" in found["last_run"]["reason"]
    assert found["last_run"]["reason"] in " ".join(status(project, crm, RUNBOOK).text.split())


def test_a_run_that_waits_for_a_lock_right_now_is_at_work(crm: Database, project: Project) -> None:
    project.env["CRM_URL"] = crm.url
    attempts = "SELECT 1 FROM pg_class WHERE relname = 'attempts' AND pg_relation_size(oid) > 0"
    command = ("status", RUNBOOK, "--target", "env:CRM_URL")
    with crm.connect() as reader, reader.transaction():
        reader.execute("SELECT FROM deals")
        runner = project.start("run", RUNBOOK, "--target", "env:CRM_URL", "-p", "operator", "ada")
        try:
            wait_for(lambda: crm.execute(attempts) != [])
            (found,) = json.loads(project.command(*command, "--json").text)
            text = " ".join(project.command(*command).text.split())
        finally:
            runner.send_signal(signal.SIGTERM)
            code = runner.wait(PATIENCE_S)
    assert code == 3
    states = [block["state"] for block in found["blocks"]]
    assert states == ["applied", "applied", *["pending"] * (len(BLOCKS) - 2)]
    last = found["last_run"]
    assert (last["verdict"], last["operator"]) == ("at work", "ada")
    known = "committed: 010_import_batches, 020_stage_mappings; last known: attempt"
    assert re.match(
        rf"{known} \d+ at 030_deals_source_data did not get its locks, \d{{4}}-", last["reason"]
    )
    assert f"last run {last['run'][:8]} by ada: at work: {known}" in text
    assert report(project, crm)[0]["last_run"]["verdict"] == "interrupted"


def test_another_schema_has_a_ledger_of_its_own(applied: Database, project: Project) -> None:
    applied.execute("CREATE SCHEMA other")
    (found,) = report(project, applied, RUNBOOK, "--schema", "other")
    assert {block["state"] for block in found["blocks"]} == {"pending"}
    assert found["last_run"] is None


def test_a_block_whose_files_are_gone_is_named(empty: Database, project: Project) -> None:
    folder = project.root / "files"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"1_{name}.sql").write_text(f"CREATE TABLE {name} (n int);\n")
    assert project.command("import", folder, "app").code == 0
    project.env["CRM_URL"] = empty.url
    command = ("run", "app", "--target", "env:CRM_URL")
    assert project.command(*command).code == 0
    (run,) = {block["run"] for block in report(project, empty, "app")[0]["blocks"]}
    (gone,) = (project.root / "sql" / "003_app" / "deploy").glob("*two.sql")
    gone.unlink()
    (found,) = report(project, empty, "app")
    assert len(found["blocks"]) == 1
    without = {"block": gone.stem, "state": "applied", "run": run}
    assert found["without_files"] == [without]
    said = f"{gone.stem}: applied by run {run[:8]}, and its file is gone"
    assert said in status(project, empty, "app").text
    done = project.command(*command)
    assert done.code == 0, done.text
    assert re.search(rf"{gone.stem} +has its file in deploy/ +not run", str(done.cells))
    ledger = "UPDATE pgrunbook.blocks SET event = 'reverted' WHERE block = %s"
    with empty.connect() as conn, conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute(ledger, [gone.stem])
    assert report(project, empty, "app")[0]["without_files"] == []


def test_a_standby_can_be_asked(standby: Database, project: Project) -> None:
    assert report(project, standby)[0]["last_run"] is None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--target", "staging"), "target: unknown target"),
        (("009", "--target", "env:CRM_URL"), "runbooks/: no runbook is called '009'"),
        (("--target", "env:CRM_URL", "--schema", "nope"), "schema nope: does not exist"),
        (
            ("--target", "postgresql://me:hunter2@db/crm"),
            "target: a URL is not the name of a target",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(
    crm: Database, project: Project, arguments: tuple[str, ...], problem: str
) -> None:
    project.env["CRM_URL"] = crm.url
    done = project.command("status", *arguments)
    assert done.code == 2
    assert problems(done) == [problem]
    assert ("--schema NAME for any other command" in done.text) == ("--schema" in arguments)
    assert_presentable(done, project)


def test_a_ledger_of_a_newer_version(crm: Database, project: Project) -> None:
    with crm.connect() as conn:
        install.install(conn)
    crm.execute("INSERT INTO pgrunbook.versions (version, tool_version) VALUES (99, '9.0')")
    done = status(project, crm)
    assert done.code == 2
    assert problems(done) == ["ledger: is of a newer version"]
    assert "remedy:   upgrade pgrunbook" in done.text


def test_a_ledger_that_this_role_may_not_read(
    crm: Database, project: Project, login_role: Callable[[Database], Role]
) -> None:
    crm.psql("-f", ROOT / "src" / "pgrunbook" / "sql" / "ledger" / "001.sql")
    project.env["ROLE_URL"] = login_role(crm).url
    done = project.command("status", "--target", "env:ROLE_URL")
    assert done.code == 2
    assert problems(done) == ["ledger: cannot be read"]
    assert_presentable(done, project)


def test_what_differs_of_the_server_has_lines_of_its_own() -> None:
    report = {
        "runbook": "001_x",
        "target": "t",
        "blocks": [],
        "without_files": [],
        "last_run": None,
    }
    said = status_report.text([report | {"server": "a: NOT the one\ntimeline: 1, and here 2"}])
    assert said.endswith(f"server: a: NOT the one\n{controls.INDENT}timeline: 1, and here 2")
