"""Bad input to a run: parameters, targets, SQL files, another run. Each is refused before anything
is changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.databases import Database, Role
from support.projects import RUNBOOK, Project
from support.refusals import LOCKED_OUT, problems, refused

from pgrunbook.cli.main import main
from pgrunbook.postgres import run_locks

# One version is enough: what is bad is bad on each.
pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]


# -- parameters
# --------------------------------------------------------------------------------------------------


def test_every_bad_parameter_is_named_at_once(crm: Database, project: Project) -> None:
    bad = {
        "tabel": "users",
        "mode": "aply",
        "schema": "",
        "lock_timeout": "soon",
        "statement_timeout": "0",
    }
    done = refused(project, crm, *(word for pair in bad.items() for word in ("-p", *pair)))
    assert {problem.partition(":")[0] for problem in problems(done)} == bad.keys()
    assert "tabel: unknown parameter\n      expected: one of target, mode, schema" in done.text
    assert "remedy:   A parameter is declared in the cell tagged `parameters`" in done.text
    assert "found:    'aply' (str)" in done.text
    assert done.notebook is None


def test_a_parameter_given_twice_is_refused(crm: Database, project: Project) -> None:
    done = refused(project, crm, "--mode", "plan", "-p", "mode", "apply")
    assert problems(done) == ["mode: given twice"]


def test_a_password_in_a_parameter_is_refused_and_not_repeated(
    crm: Database, project: Project
) -> None:
    given = [
        "-p",
        "ticket",
        "host=db password=hunter2",
        "-p",
        "operator",
        "postgresql+psycopg://me:hunter2@db/crm",
    ]
    done = refused(project, crm, *given, target="postgresql://me:hunter2@db/crm")
    assert {problem.partition(":")[0] for problem in problems(done)} == {
        "target",
        "ticket",
        "operator",
    }
    assert "PGPASSFILE" in done.text
    assert not list(project.root.glob("outputs/**/*"))


def test_a_record_without_a_place_refuses_the_run(crm: Database, project: Project) -> None:
    (project.root / "outputs").write_text("a file")
    done = refused(project, crm)
    assert problems(done) == [
        "outputs/env-CRM_URL/001_import_connector/: the record could not be written"
    ]
    site = project.command("archive", "site")
    assert (site.code, "Traceback" in site.text) == (2, False), site.text
    assert "there is no archive\n" in site.text


@pytest.mark.parametrize("text", ['{"cells": [', "{}", "[]"])
def test_a_file_that_is_no_notebook_is_refused(crm: Database, project: Project, text: str) -> None:
    (project.root / "runbooks" / f"{RUNBOOK}.ipynb").write_text(text)
    assert problems(refused(project, crm)) == [f"{RUNBOOK}.ipynb: is not a notebook"]


def test_plain_papermill_refuses_bad_parameters_too(crm: Database, project: Project) -> None:
    before = crm.dump()
    given = {"tabel": "users", "ticket": "007", "mode": "true", "password": "hunter2"}
    done = project.papermill(
        crm, *(argument for pair in given.items() for argument in ("-p", *pair))
    )
    assert done.code != 0
    assert "REFUSED: The parameters are not valid: nothing was started.\n  " in done.text
    for problem in (
        "tabel: unknown parameter",
        "ticket: takes a string",
        "mode: Input should be 'plan', 'rehearse', 'apply', 'verify' or 'revert'",
        "password: holds a password; parameters are written into the archived notebook",
    ):
        assert f"\n  {problem}\n" in done.text
        assert problem in done.cells["target"]
    assert done.notebook
    assert "Traceback" not in done.notebook.read_text()  # papermill prints its own
    assert crm.dump() == before


# -- targets
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "problem", "also"),
    [
        (
            "staging",
            "target: unknown target",
            "expected: embedded, env:NAME, service:NAME, production",
        ),
        (
            "env:NO_SUCH",
            "target 'env:NO_SUCH': the environment variable is not set",
            "export NO_SUCH=postgresql://",
        ),
        (
            "env:BAD_URL",
            "environment variable BAD_URL: libpq cannot read the connection string",
            "percent-encode",
        ),
        (
            "env:AMBIGUOUS",
            "environment variable AMBIGUOUS: libpq cannot read the connection string",
            "percent-encode",
        ),
    ],
)
def test_a_target_that_cannot_be_resolved(
    crm: Database, project: Project, target: str, problem: str, also: str
) -> None:
    (project.root / "pgrunbook.toml").write_text("[targets.production]\n")
    project.env["BAD_URL"] = "host=db passwort=hunter2"
    project.env["AMBIGUOUS"] = "postgresql://me:hun@hunter2@db/crm"
    done = refused(project, crm, target=target)
    assert problems(done) == [problem]
    assert also in done.text
    assert done.notebook is None


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/crm", "Connection refused"),
        ("postgresql://me:hunter2@/crm?host=/nowhere", "No such file or directory"),
        ("postgresql://me:hunter2@no..host/crm", "label empty"),
        ("service=nowhere", 'definition of service "nowhere" not found'),
    ],
)
def test_an_unreachable_server(crm: Database, project: Project, url: str, found: str) -> None:
    project.env["CRM_URL"] = url
    done = refused(project, crm, target="env:CRM_URL")
    assert (
        "The target cannot be reached: nothing was changed.\n  target 'env:CRM_URL': " in done.text
    )
    assert found in done.text
    assert "remedy:   try the same with psql" in done.text


def test_a_wrong_password_is_not_echoed(
    crm: Database, project: Project, login_role: Callable[[Database], Role]
) -> None:
    project.env["CRM_URL"] = crm.url_as(login_role(crm).name, "hunter2")
    done = refused(project, crm, target="env:CRM_URL")
    assert "password authentication failed" in done.text
    assert "PGPASSFILE" in done.text


def test_the_wrong_database_for_the_target(crm: Database, project: Project) -> None:
    project.env["CRM_URL"] = crm.url
    expected = 'env = "CRM_URL"\ndatabase = "crm"\nsystem_identifier = "7"\n'
    (project.root / "pgrunbook.toml").write_text(f"[targets.production]\n{expected}")
    done = refused(project, crm, target="production")
    assert problems(done) == [
        "target 'production': the wrong database",
        "target 'production': the wrong system identifier",
    ]
    assert f"expected: crm\n      found:    {crm.name}\n" in done.text
    assert "remedy:   correct the connection, or the target in pgrunbook.toml" in done.text


def test_a_standby(standby: Database, project: Project) -> None:
    done = refused(project, standby)
    assert "server: is not a primary" in problems(done)
    assert "found:    a standby, in recovery" in done.text
    assert "remedy:   connect to the primary" in done.text


def test_a_read_only_database(crm: Database, project: Project) -> None:
    crm.execute(f"ALTER DATABASE {crm.name} SET default_transaction_read_only = on")
    done = refused(project, crm)
    assert problems(done) == ["server: is read-only for this role"]
    assert "expected: default_transaction_read_only = off" in done.text


def test_a_read_only_role(
    crm: Database, project: Project, login_role: Callable[[Database], Role]
) -> None:
    role = login_role(crm)
    crm.load(
        f"ALTER ROLE {role.name} SUPERUSER; ALTER ROLE {role.name} SET "
        "default_transaction_read_only = on"
    )
    project.env["CRM_URL"] = role.url
    done = refused(project, crm, target="env:CRM_URL")
    assert problems(done) == ["server: is read-only for this role"]


@pytest.mark.parametrize(
    ("prepare", "schema", "problem"),
    [
        ("", "crm", "schema crm: does not exist"),
        ("CREATE SCHEMA crm", "crm", "schema crm: may not be used"),
        ('CREATE SCHEMA "$user"', "$user", "schema $user: cannot be looked into"),
    ],
)
def test_a_schema_that_cannot_be_used(
    crm: Database,
    project: Project,
    login_role: Callable[[Database], Role],
    prepare: str,
    schema: str,
    problem: str,
) -> None:
    crm.load(prepare)
    project.env["CRM_URL"] = login_role(crm).url
    done = refused(project, crm, "-p", "schema", schema, target="env:CRM_URL")
    assert problems(done) == [problem]


@pytest.mark.parametrize("parameter", ["adopt", "discard"])
def test_a_block_that_a_parameter_names_and_that_is_none(
    crm: Database, project: Project, parameter: str
) -> None:
    done = refused(project, crm, "-p", parameter, "010_import_batches,020_stage_mapping")
    assert f"{parameter}: no block is called 020_stage_mapping" in problems(done)
    assert "did you mean 020_stage_mappings?" in done.text


# -- another run, and SQL files
# ----------------------------------------------------------------------------------


def test_two_runs_at_once(crm: Database, project: Project) -> None:
    with crm.connect(application_name=f"pgrunbook {RUNBOOK} 0badcafe lock") as other:
        other.execute("SELECT pg_advisory_lock(%s)", [run_locks.of_schema("public")])
        done = refused(project, crm, code=LOCKED_OUT)
        assert (
            f"pid {other.info.backend_pid}, 'pgrunbook {RUNBOOK} 0badcafe lock', since" in done.text
        )
        assert "remedy:   wait until it has ended" in done.text
        plan = project.step(crm, "--mode", "plan")  # only looks, so it need not wait
        assert plan.code == 0, plan.text


@pytest.fixture
def sql(project: Project) -> Path:
    return project.root / "sql" / RUNBOOK


def test_every_bad_sql_file_is_named_at_once(crm: Database, project: Project, sql: Path) -> None:
    (sql / "deploy/010_import_batches.sql").write_text(
        "-- title: t\nCREATE TABLE import_batches (\n  id uuid,,\n);\n"
    )
    (sql / "deploy/020_stage_mappings.sql").write_text("-- title: nothing else\n")
    (sql / "deploy/070_admit_csv_import/enum.sql").write_text("BEGIN;\nSELECT 1;\nCOMMIT;\n")
    (sql / "verify/040_contacts_source_data.sql").write_bytes(b"SELECT 1;\n-- caf\xe9\n")
    done = refused(project, crm)
    assert problems(done) == [
        'deploy/010_import_batches.sql:3: syntax error at or near ","',
        "deploy/020_stage_mappings.sql: holds no statement",
        "deploy/070_admit_csv_import/enum.sql:1: controls the transaction itself",
        "deploy/070_admit_csv_import/enum.sql:3: controls the transaction itself",
        "verify/040_contacts_source_data.sql:2: is not UTF-8",
    ]
    assert f"found:      id uuid,,\n{'^':>27}\n" in done.text
    assert "found:    byte 0xe9" in done.text


def test_a_block_without_a_verify_script_is_shown_as_not_verified(
    applied: Database, project: Project, sql: Path
) -> None:
    (sql / "verify/020_stage_mappings.sql").unlink()
    done = project.run(applied)
    assert done.code == 0, done.text
    said = r"020_stage_mappings +behaviour +not run +it has no verify script"
    assert re.search(said, done.cells["verify"])
    assert "040_contacts_source_data" not in done.cells["verify"], (
        "030 proves it, as its header says"
    )


def test_bad_sql_is_found_before_a_connection_is_opened(
    crm: Database, project: Project, sql: Path
) -> None:
    (sql / "revert/010_import_batches.sql").write_text("")
    with crm.logged() as statements:
        # our engine would ask the ledger afterwards what was committed
        done = project.papermill(crm)
    assert done.code != 0
    assert "revert/010_import_batches.sql: holds no statement" in done.cells["target"]
    assert statements == []


def test_a_user_without_a_name_is_asked_for_one(project: Project, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Many containers run under a user id that the machine has no name for."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", unknown)
    monkeypatch.chdir(project.root)
    asked = CliRunner().invoke(main, ["fleet", "abort", "001", "--fleet", "none"])
    assert asked.exit_code == 2, asked.output
    assert "--operator NAME" in asked.output
