"""A fleet from its plan to its record: real servers, real workers, and what goes wrong on one target
and must not on the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fleet.conftest import FLEET, RUNBOOK, TABLE, Tenants
from support.projects import wait_for


def state(root: Path) -> dict[str, str]:
    """Every file below a folder with its digest, but for what the interpreter and servers keep."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and ".pgrunbook" not in path.parts
    }


def verified(tenants: Tenants) -> None:
    done = tenants.project.command("archive", "verify")
    assert done.code == 0, done.text


def start(tenants: Tenants, *arguments: str) -> subprocess.Popen[bytes]:
    return tenants.project.start("fleet", *arguments, "--fleet", FLEET)


def test_from_its_first_target_to_the_page_of_the_whole(tenants: Tenants) -> None:
    tenants.only("red_000", "red_001", "green_000", "blue_000")
    tenants.settings('waves = ["blue_000", "100%"]\nworkers = 2')
    done = tenants.fleet("run", "001", "-p", "operator", "ada", "-p", "ticket", "CRM-1")
    assert done.code == 0, done.text
    assert tenants.applied() == {"red_000", "red_001", "green_000", "blue_000"}

    record = tenants.record()
    rows = record.fleet["targets"]["rows"]
    columns = record.fleet["targets"]["columns"]
    listed = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    for name, row in listed.items():
        path = tenants.project.root / "outputs" / row["record"]
        assert path == tenants.records(name)[-1]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    assert (record.noted["verdict"], record.identity["operator"]) == ("passed", "ada")
    assert [row[4] for row in record.fleet["waves"]["rows"]] == [1, 3]

    done = tenants.project.command("archive", "site")
    assert done.code == 0, done.text
    site = tenants.project.root / "outputs" / "site"
    (page,) = (site / FLEET / RUNBOOK).glob("*.html")
    text = page.read_text()
    assert "4 targets: 4 passed" in text
    assert "data:image/svg+xml" in text
    assert "cannot read it" not in text

    again = tenants.fleet("run", "001")
    assert again.code == 0, again.text
    assert [len(tenants.verdicts(name)) for name in listed] == [1] * 4
    verified(tenants)


def test_plans_are_grouped_and_nothing_is_written(tenants: Tenants) -> None:
    tenants.only("red_000", "red_001", "green_000", "blue_000")
    tenants.rows.append({"name": "gone", "service": "nowhere"})
    tenants.list()
    crm = (
        f'[targets.crm]\nservice = "red"\nprotected = true\n{tenants.databases["red_000"].known_by}'
    )
    tenants.settings("workers = 1", more=crm)
    tenants.databases["red_001"].execute(f"CREATE TABLE red_001.{TABLE} (id int)")
    root = tenants.project.root
    before = state(root), tenants.dumps()
    done = tenants.fleet("plan", "001", "--json")
    assert done.code == 1, done.text
    assert (state(root), tenants.dumps()) == before

    report = json.loads(done.text)
    first, *others = [each["targets"] for each in report["groups"]]
    assert first == ["blue_000", "green_000", "red_000"]
    assert sorted(others) == [["gone"], ["red_001"]]
    approved = ["--approved-set", report["approve"], "-p", "approver", "grace"]
    done = tenants.fleet("run", "001", *approved)
    assert done.code == 1, done.text
    assert "set aside: red_001" in done.text
    assert tenants.applied() == {"red_000", "red_001", "green_000", "blue_000"}
    assert tenants.verdicts("red_001") == []
    verified(tenants)


@pytest.mark.long
def test_what_is_wrong_with_one_is_not_with_the_others(tenants: Tenants) -> None:
    tenants.only("red_000", "red_001", "green_000", "blue_000")
    tenants.rows.append({"name": "gone", "service": "nowhere"})
    tenants.list()
    tenants.settings('workers = 1\nfailure_budget = ["1"]')
    tenants.databases["red_001"].execute(f"CREATE TABLE red_001.{TABLE} (id int)")
    read_only = tenants.databases["blue_000"]
    read_only.execute(f"ALTER DATABASE {read_only.name} SET default_transaction_read_only = on")
    done = tenants.fleet("run", "001")
    assert done.code == 1, done.text
    words = {each["name"]: each["state"] for each in tenants.report()["targets"]}
    assert words == {"red_001": "set aside", "gone": "set aside", "blue_000": "set aside"}, (
        done.text
    )
    assert tenants.applied() == {"red_000", "red_001", "green_000"}
    verified(tenants)


def test_the_budget_and_the_resumption(tenants: Tenants) -> None:
    tenants.only("red_000", "green_000", "blue_000", "red_001")
    tenants.settings('waves = ["2", "100%"]\nworkers = 1')
    database = tenants.databases["red_000"]
    # whatever the block makes is not there afterwards: the run fails
    database.load(
        "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name = "
        "'red_000') THEN RAISE 'not here'; END IF; END $$;"
        "CREATE EVENT TRIGGER no ON ddl_command_end EXECUTE FUNCTION public.no()"
    )
    done = tenants.fleet("run", "001")
    assert done.code == 1, done.text
    assert "the budget of wave 1 is used up: 1 failed, 0 may" in done.text
    # while the ledger is asked what came of one target, the next one may be begun
    assert tenants.applied() <= {"red_001"}
    database.load("DROP EVENT TRIGGER no")
    done = tenants.fleet("resume")
    assert done.code == 0, done.text
    assert tenants.applied() == {"red_000", "green_000", "blue_000", "red_001"}
    assert tenants.verdicts("red_000") == ["passed", "failed"]
    verified(tenants)


@pytest.mark.long
def test_after_a_kill_of_the_coordinator_one_resumption_finishes(tenants: Tenants) -> None:
    tenants.only("red_000", "green_000", "blue_000", "blue_001")
    tenants.settings("workers = 2")
    process = start(tenants, "run", "001")
    wait_for(lambda: bool(tenants.applied()), 120)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert tenants.report()["verdict"] == "died"
    unsealed = tenants.project.command("archive", "verify")
    assert f"pgrunbook fleet resume {RUNBOOK} --fleet {FLEET}" in unsealed.text
    done = tenants.fleet("resume")
    assert done.code == 0, done.text
    assert tenants.applied() == {"red_000", "green_000", "blue_000", "blue_001"}
    for row in tenants.rows:
        assert tenants.verdicts(row["name"]).count("passed") == 1
    verified(tenants)


def test_one_command_stops_it(tenants: Tenants) -> None:
    tenants.only("red_000", "green_000", "blue_000", "blue_001")
    tenants.settings("workers = 1")
    process = start(tenants, "run", "001")
    wait_for(lambda: bool(_journals(tenants)), 60)
    done = tenants.fleet("abort", "--operator", "grace")
    assert done.code == 0, done.text
    assert process.wait(60) == 3
    report = tenants.report()
    assert (report["verdict"], report["stopped_by"]) == ("interrupted", "grace")
    assert len(tenants.applied()) <= 1
    assert tenants.fleet("abort").code == 2
    verified(tenants)


@pytest.mark.long
def test_the_targets_are_asked_of_a_database(tenants: Tenants) -> None:
    directory = tenants.databases["red_000"]
    directory.load(
        "CREATE TABLE tenants (name text, dsn text, schema text, size int);"
        "INSERT INTO tenants VALUES ('beta', 'red', 'red_001', 2), ('alpha', 'red', 'red_000', 1)"
    )
    query = "SELECT name, dsn AS service, schema FROM tenants ORDER BY size"
    (tenants.project.root / "pgrunbook.toml").write_text(
        f'[fleets.{FLEET}]\nworkers = 1\ntargets_query = {{ target = "service:red", sql = "{query}" }}'
    )
    done = tenants.fleet("run", "001")
    assert done.code == 0, done.text
    assert [row[0] for row in tenants.record().fleet["targets"]["rows"]] == ["alpha", "beta"]
    directory.execute("INSERT INTO tenants SELECT * FROM tenants WHERE name = 'beta'")
    done = tenants.fleet("run", "001")
    assert (done.code, "is called 'beta'" in done.text) == (2, True), done.text
    directory.execute("TRUNCATE tenants")
    done = tenants.fleet("run", "001")
    assert (done.code, "there are none" in done.text) == (2, True), done.text
    writes = "DELETE FROM tenants RETURNING name"
    text = (tenants.project.root / "pgrunbook.toml").read_text().replace(query, writes)
    (tenants.project.root / "pgrunbook.toml").write_text(text)
    done = tenants.fleet("run", "001")
    assert (done.code, "read-only transaction" in done.text) == (1, True), done.text


@pytest.mark.long
def test_drift_is_told_in_groups_and_nothing_is_written(tenants: Tenants) -> None:
    tenants.only("red_000", "green_000", "blue_000")
    tenants.settings("workers = 1")
    assert tenants.fleet("drift").code == 0  # nothing is expected yet
    assert tenants.fleet("run", "001").code == 0
    for name in ("red_000", "blue_000"):
        tenants.databases[name].execute(f"ALTER TABLE {name}.{TABLE} DROP COLUMN body")
    root = tenants.project.root
    before = state(root)
    done = tenants.fleet("drift", "--json")
    assert done.code == 1, done.text
    report = json.loads(done.text)
    assert report["message"] == "1 without drift, 2 not as expected"
    assert report["groups"][1]["targets"] == ["blue_000", "red_000"]
    assert report["groups"][1]["told"] == f"table column ….{TABLE}.body is gone"
    (differs,) = report["groups"][1]["differs"]
    assert differs["expected"].startswith("type: text\n")
    assert differs["found"] == "absent"
    done = tenants.fleet("verify", "001")
    assert done.code == 1, done.text
    assert done.text.startswith("1 verified, 2 not\n2 targets: ")
    assert state(root) == before


def _journals(tenants: Tenants) -> list[Any]:
    return [*(tenants.project.root / "outputs").rglob("*.fleet.jsonl")]


@pytest.mark.long
def test_a_second_signal_stops_what_is_at_work_and_the_record_is_sealed(tenants: Tenants) -> None:
    tenants.only("red_000")
    tenants.settings("workers = 1")
    tenants.databases["red_000"].load(
        "CREATE FUNCTION public.wait() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(120); END $$;"
        "CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
        "EXECUTE FUNCTION public.wait()"
    )
    process = start(tenants, "run", "001")
    sleeping = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s"
    database = tenants.databases["red_000"]
    wait_for(lambda: bool(database.execute(sleeping, [database.name])), 60)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3
    assert tenants.report()["verdict"] == "interrupted"
    assert tenants.applied() == set()
    verified(tenants)


def test_a_cell_that_hangs_gives_its_worker_back(tenants: Tenants) -> None:
    tenants.only("red_000", "green_000")
    path = tenants.project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    notebook = json.loads(path.read_text())
    first = next(
        cell for cell in notebook["cells"] if "run.preconditions" in "".join(cell["source"])
    )
    hang = "import time\nif schema == 'red_000':\n    time.sleep(300)\n"
    first["source"] = hang + "".join(first["source"])
    path.write_text(json.dumps(notebook))
    tenants.settings('workers = 1\ncell_timeout = "15s"')
    done = tenants.fleet("plan", "001")
    assert done.code == 1, done.text
    assert "1 target: interrupted: " in done.text, done.text
    assert "1 target: blocks: 1 apply" in done.text, done.text


def test_a_backfill_ends_when_its_time_is_over_and_goes_on_in_the_next_run(
    tenants: Tenants,
) -> None:
    tenants.only("red_000")
    database = tenants.databases["red_000"]
    database.load(
        "CREATE TABLE red_000.t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
        "INSERT INTO red_000.t SELECT generate_series(1, 500)"
    )
    sql = tenants.project.root / "sql" / RUNBOOK
    (sql / "revert/010_notes.sql").unlink()
    (sql / "verify/010_notes.sql").write_text("-- title: It is there\n\nSELECT n FROM t LIMIT 1;\n")
    block = sql / "deploy/010_notes.sql"
    block.write_text(
        "-- title: Fill it\n-- why: A test.\n-- batch: t by id; 5 rows\n-- until: 300 ms\n\n"
        "UPDATE t SET n = n + 1 FROM (SELECT pg_sleep(0.05)) AS slowly\n"
        " WHERE id > :from AND id <= :to;\n"
    )
    changed = "SELECT count(*) FROM red_000.t WHERE n = 1"
    done = tenants.fleet("run", "001")
    assert done.code == 3, done.text
    assert "not done: red_000" in done.text
    assert "is not done after 300 ms, as its header says; " in done.text
    assert tenants.verdicts("red_000") == ["interrupted"]
    assert 0 < database.execute(changed)[0][0] < 500
    block.write_text(block.read_text().replace("300 ms", "5 min").replace("5 rows", "100 rows"))
    assert "put them back" in tenants.fleet("resume").text
    done = tenants.fleet("run", "001")
    assert done.code == 0, done.text
    assert database.execute(changed) == [(500,)]
    verified(tenants)
