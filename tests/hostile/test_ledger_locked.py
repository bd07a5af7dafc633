"""Somebody else keeps the ledger's tables locked: whoever it is gets named, soon, wherever the ledger
is read or written.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files

import pytest
from support.databases import Database
from support.projects import PATIENCE_S, RUNBOOK, Outcome, Project, wait_for

from pgrunbook.ledger.versions import SCHEMA_VERSION

Run = Callable[..., Outcome]

LOCKED = "the ledger's tables are locked by somebody else"


def _sql(name: str) -> str:
    return (files("pgrunbook") / "sql" / "ledger" / f"{name}.sql").read_text()


@contextmanager
def locked(database: Database, table: str, mode: str) -> Iterator[int]:
    """Somebody's transaction that has locked a table of the ledger, until the `with` block ends: its
    pid. Whoever is at work in that block ends although nobody unlocks it.
    """
    with database.connect(application_name="audit export") as conn:
        conn.execute(f"BEGIN; LOCK TABLE pgrunbook.{table} IN {mode} MODE".encode())
        conn.execute(b"SELECT 'a secret of theirs'")
        yield conn.info.backend_pid
        conn.execute(b"ROLLBACK")


def is_named(text: str, pid: int) -> None:
    for word in (f"pid {pid} (audit export, ", "transaction open for ", " on pgrunbook."):
        assert word in text, text
    assert f"SELECT pg_terminate_backend({pid})" in text, text
    assert "a secret of theirs" not in text


@pytest.fixture
def ledgered(crm: Database, project: Project) -> Database:
    """With a ledger, in which there is nothing yet."""
    project.env["CRM_URL"] = crm.url
    done = project.command("server", "--target", "env:CRM_URL", "--confirm", "it is new")
    assert done.code == 0, done.text
    return crm


@pytest.mark.parametrize(
    ("table", "mode", "code", "message"),
    [
        ("runs", "SHARE", 2, "REFUSED: Nothing was changed."),
        pytest.param(
            *("versions", "ACCESS EXCLUSIVE", 2, "REFUSED: Nothing was changed."),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("blocks", "SHARE", 1, "What it committed before is in the ledger"),
            marks=pytest.mark.long,
        ),
        ("verdicts", "SHARE", 1, "What it committed before is in the ledger"),
    ],
)
def test_a_run_ends_soon_and_says_who_it_is(
    ledgered: Database, run: Run, table: str, mode: str, code: int, message: str
) -> None:
    with locked(ledgered, table, mode) as pid:
        done = run(ledgered)
    assert done.code == code, done.text
    is_named(done.text, pid)
    assert message in done.text
    assert "statement_timeout" not in done.text
    assert "LockNotAvailable" not in done.text
    blocks = {"runs": 0, "versions": 0, "blocks": 0, "verdicts": 16}[table]
    assert ledgered.execute("SELECT count(*) FROM pgrunbook.blocks") == [(blocks,)]
    again = run(ledgered)
    assert again.code == 0, again.text


def test_a_ledger_that_cannot_be_brought_up_to_date_refuses_the_run(
    crm: Database, run: Run
) -> None:
    """To alter a table is to wait for whoever only reads it, too."""
    for number in (1, 2, 3):
        crm.load(_sql(f"{number:03}"))
        crm.execute(
            "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (%s, '')", [number]
        )
    with crm.connect(application_name="audit export") as conn:
        conn.execute("BEGIN; SELECT * FROM pgrunbook.blocks; SELECT 'a secret of theirs'")
        done = run(crm)
        assert done.code == 2, done.text
        is_named(done.text, conn.info.backend_pid)
    assert crm.execute("SELECT max(version) FROM pgrunbook.versions") == [(3,)]


@pytest.mark.parametrize(
    ("table", "mode", "arguments"),
    [
        ("versions", "ACCESS EXCLUSIVE", ["status", "--target", "env:CRM_URL"]),
        ("heads", "ACCESS EXCLUSIVE", ["archive", "verify", "--target", "env:CRM_URL"]),
        ("versions", "ACCESS EXCLUSIVE", ["server", "--target", "env:CRM_URL"]),
    ],
)
def test_who_only_reads_it_says_who_it_is(
    ledgered: Database, project: Project, table: str, mode: str, arguments: list[str]
) -> None:
    (project.root / "outputs").mkdir(exist_ok=True)
    with locked(ledgered, table, mode) as pid:
        done = project.command(*arguments)
    assert done.code == 1, done.text
    is_named(done.text, pid)


def test_who_confirms_the_server_hears_who_it_is(crm: Database, project: Project) -> None:
    project.env["CRM_URL"] = crm.url
    crm.load("".join(_sql(f"{number:03}") for number in range(1, SCHEMA_VERSION + 1)))
    crm.execute(
        "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (%s, '')", [SCHEMA_VERSION]
    )
    with locked(crm, "servers", "SHARE") as pid:
        done = project.command("server", "--target", "env:CRM_URL", "--confirm", "it is new")
    assert done.code == 1, done.text
    is_named(done.text, pid)


@pytest.mark.long
def test_a_head_that_cannot_be_noted_is_told_with_who_it_is(ledgered: Database, run: Run) -> None:
    with locked(ledgered, "heads", "SHARE") as pid:
        done = run(ledgered)
    assert done.code == 0, done.text
    assert f"warning: the head of the archive may not be in the ledger: {LOCKED}: pid {pid}" in (
        done.text
    )


@pytest.mark.long
def test_nothing_is_sealed_uncompared_because_somebody_has_locked_it(
    ledgered: Database, project: Project
) -> None:
    done = project.papermill(ledgered, name="x.ipynb")
    assert done.code == 0, done.text
    with locked(ledgered, "blocks", "ACCESS EXCLUSIVE") as pid:
        sealed = project.command("archive", "seal", "outputs/x.ipynb")
    assert sealed.code == 2, sealed.text
    is_named(sealed.text, pid)
    assert project.command("archive", "seal", "outputs/x.ipynb").code == 0


def test_one_signal_ends_the_wait(ledgered: Database, project: Project) -> None:
    waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'pgrunbook.runs'::regclass"
    with locked(ledgered, "runs", "SHARE"):
        runner = project.start("run", RUNBOOK, "--target", "env:CRM_URL")
        try:
            wait_for(lambda: bool(ledgered.execute(waits)))
            runner.send_signal(signal.SIGINT)
            assert runner.wait(PATIENCE_S) == 3
        finally:
            runner.kill()
