"""An archive of real runs, its site, and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from support import databases
from support.projects import PATIENCE_S, ROOT, RUNBOOK, Project, kernel_of, wait_for

from pgrunbook.postgres.embedded import Server

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without it the tests are skipped, but not where a landing is decided."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        assert "CI" not in os.environ, "there is no chromium"
        pytest.skip("NOT TESTED: the pages in a browser. Install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(servers: Callable[[int], Server], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of five runs: refused, interrupted, failed, one that waited, and passed with nothing
    left to do.
    """
    root = tmp_path_factory.mktemp("archive")
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, root / name)
    (root / "pgrunbook.toml").write_text("")
    project, server = Project(root), servers(18)
    with databases.sampled(server) as crm:
        assert project.run(crm, "-p", "schema", "nowhere").code == 2
        _interrupted(project, crm)
        with crm.connect(application_name="somebody") as conn:
            conn.execute("BEGIN; LOCK TABLE workspaces IN SHARE MODE")
            assert project.run(crm, "-p", "lock_budget", "1ms").code == 1
        _waits(project, crm)
        assert project.run(crm, "-p", "ticket", "CRM-7").code == 0
    made = project.command("archive", "site")
    assert made.code == 0, made.text
    assert "5 records, 5 pages made" in made.text
    return root / "outputs" / "site"


def _interrupted(project: Project, crm: databases.Database) -> None:
    """Its kernel is killed while it waits for a lock."""
    with crm.connect() as reader, reader.transaction():
        reader.execute("LOCK TABLE workspaces IN SHARE ROW EXCLUSIVE MODE")
        runner = project.start("run", RUNBOOK, "--target", "env:CRM_URL")
        waiting = "SELECT to_regclass('pgrunbook.attempts') IS NOT NULL"
        wait_for(lambda: crm.execute(waiting) == [(True,)])
        os.kill(kernel_of(runner.pid), 9)
        assert runner.wait(PATIENCE_S) == 3


def _waits(project: Project, crm: databases.Database) -> None:
    """For a reader, until that has been in its way twice."""
    with crm.connect() as reader:
        reader.execute("SET application_name = 'monthly report'")
        with reader.transaction():
            reader.execute("SELECT count(*) FROM deals")
            runner = project.start("run", RUNBOOK, "--target", "env:CRM_URL")
            wait_for(
                lambda: (
                    crm.execute("SELECT count(*) FROM pgrunbook.attempts WHERE NOT got_locks")[0][0]
                    >= 2
                )
            )
        assert runner.wait(PATIENCE_S) == 0
