"""JupyterLab in a browser: a DBA steps through the runbook, stops it in the middle of a wait, and
goes on.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support.databases import Database
from support.projects import PATIENCE_S, ROOT, RUNBOOK, Project, wait_for

pytestmark = pytest.mark.newest

on_18 = pytest.mark.parametrize("server", [18], indirect=True)
SCREENSHOTS = ROOT / ".pgrunbook" / "screenshots"  # kept, to be looked at
# Every cell is in the page, and not only those in sight.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false"},
}


@dataclass(frozen=True)
class Notebook:
    """The runbook in an open JupyterLab."""

    page: Page
    names: list[str]
    configuration: Path

    def cell(self, name: str) -> Locator:
        """A code cell, by its id."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(self.names.index(name))

    def run(self, name: str, timeout_s: float = 60) -> Locator:
        """Run a cell as Shift+Enter does, and wait until it has ended."""
        before = self.prompt(name)
        self.start(name)
        expect(self.cell(name).locator(".jp-InputPrompt")).not_to_have_text(
            before, timeout=timeout_s * 1000
        )
        return self.ended(name, timeout_s)

    def start(self, name: str) -> None:
        """Run a cell, and do not wait."""
        self.cell(name).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def ended(self, name: str, timeout_s: float = 60) -> Locator:
        expect(self.cell(name).locator(".jp-InputPrompt")).to_have_text(
            re.compile(r"\[\d+\]"), timeout=timeout_s * 1000
        )
        return self.cell(name).locator(".jp-OutputArea").first

    def prompt(self, name: str) -> str:
        return self.cell(name).locator(".jp-InputPrompt").inner_text()

    def upto(self, last: str) -> None:
        """Step through the cells from the top to this one."""
        for name in self.names[: self.names.index(last) + 1]:
            self.run(name)

    def all(self, upto: str = "verdict", **given: str) -> Locator:
        """Change these parameters, and run all cells as the menu does; what this one says, once it
        has run.
        """
        parameters = self.cell("parameters").locator(".cm-content")
        text = parameters.inner_text()
        for name, value in given.items():
            text = re.sub(rf"^{name} = .*$", f'{name} = "{value}"', text, flags=re.MULTILINE)
        parameters.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        before = self.prompt(upto)
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        expect(self.cell(upto).locator(".jp-InputPrompt")).not_to_have_text(before, timeout=60_000)
        return self.ended(upto, 60)

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def notebook(crm: Database, browser: Browser, place: Path) -> Iterator[Notebook]:
    """A project of its own, and the runbook in JupyterLab with the DBA's target in its
    parameters.
    """
    root = Path(tempfile.mkdtemp(dir=place))
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, root / name)
    (root / "pgrunbook.toml").touch()
    path = root / "runbooks" / f"{RUNBOOK}.ipynb"
    path.write_text(
        path.read_text().replace('target = \\"embedded\\"', 'target = \\"env:CRM_URL\\"')
    )
    names = [
        cell["id"] for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"
    ]
    with lab(Project(root, {"CRM_URL": crm.url, "PRODUCTION_URL": crm.url})) as url:
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        page.goto(url)
        expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(len(names), timeout=60_000)
        # the kernel's state
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=60_000)
        yield Notebook(page, names, root / "pgrunbook.toml")
        context.close()


@contextmanager
def lab(project: Project) -> Iterator[str]:
    """A JupyterLab of the project's own, on loopback; its address with the token."""
    token, home = secrets.token_hex(16), project.root / "jupyter"
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("PG", "JPY", "JUPYTER"))
    } | project.env
    env |= {
        f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    env |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    options = [
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--ip=127.0.0.1",
        f"--IdentityProvider.token={token}",
    ]
    log = project.root / "lab.log"
    with log.open("w") as said:
        command = [sys.executable, "-m", "jupyter", "lab", *options]
        server = subprocess.Popen(
            command, cwd=project.root, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        running = re.compile(r"(http://127\.0\.0\.1:\d+)/lab\?")
        wait_for(lambda: running.search(log.read_text()) is not None)
        (address,) = running.findall(log.read_text())
        yield f"{address}/lab/tree/runbooks/{RUNBOOK}.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


@on_18
def test_a_dba_steps_through_is_stopped_and_goes_on_to_passed(
    notebook: Notebook, crm: Database
) -> None:
    notebook.upto("import-batches")
    expect(notebook.cell("target").locator("table")).to_contain_text(crm.name)
    expect(notebook.cell("preconditions").locator("table")).to_contain_text(
        "may probe temporary copies"
    )
    expect(notebook.cell("sql-sources").locator("table")).to_contain_text("hubspot")
    expect(notebook.cell("import-batches")).to_contain_text("applied")
    notebook.shot("block")

    again = notebook.run("import-batches")  # a cell run twice does no harm
    expect(again).to_contain_text("skip")
    assert crm.execute(
        "SELECT count(*) FROM pgrunbook.blocks WHERE block = '010_import_batches'"
    ) == [(1,)]

    for name in ("import-batches-schema", "stage-mappings", "stage-mappings-schema"):
        notebook.run(name)
    with crm.connect(application_name="monthly report") as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM deals")
        notebook.start("deals-source-data")
        waiting = notebook.cell("deals-source-data")
        expect(waiting).to_contain_text("monthly report", timeout=60_000)  # live, while it waits
        expect(waiting).to_contain_text("idle in transaction")
        assert "*" in notebook.prompt("deals-source-data")
        notebook.shot("waiting")
        notebook.page.locator(
            '[data-command="notebook:interrupt-kernel"] >> visible=true'
        ).first.click()
        expect(waiting).to_contain_text(
            "INTERRUPTED", timeout=60_000
        )  # before the lock budget ends it
        notebook.shot("stopped")
    column = (
        "SELECT FROM information_schema.columns WHERE table_name = 'deals' AND column_name = "
        "'source_data'"
    )
    assert crm.execute(column) == []
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts") == [("interrupted",)]

    for name in notebook.names:
        notebook.run(name)
    expect(notebook.cell("verdict")).to_contain_text("PASSED all 16 blocks are in place")
    notebook.shot("verdict")
    wide = (
        "[...document.querySelectorAll('.jp-OutputArea-output')].filter(e => e.scrollWidth > "
        "e.clientWidth + 1).length"
    )
    assert notebook.page.evaluate(wide) == 0  # every frame fits the screen
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts ORDER BY id") == [
        ("interrupted",),
        ("passed",),
    ]


@pytest.mark.long
def test_plan_rehearse_approve_apply_revert(notebook: Notebook, crm: Database) -> None:
    production = f'[targets.production]\nenv = "PRODUCTION_URL"\n{crm.known_by}protected = true\n'
    notebook.configuration.write_text(production)
    before = crm.dump()
    planned = notebook.all(target="production", mode="plan")
    expect(planned).to_contain_text("PASSED planned: 10 of 16 blocks to apply")
    (digest,) = re.findall(r"[0-9a-f]{64}", planned.inner_text())
    expect(notebook.all(mode="rehearse")).to_contain_text(
        "PASSED all 16 blocks are in place on the copy"
    )
    assert crm.dump() == before
    applied = notebook.all(mode="apply", operator="ada", approver="grace", approved_plan=digest)
    expect(applied).to_contain_text("PASSED all 16 blocks are in place: 10 applied")

    refused = notebook.all("preconditions", mode="revert")
    (way_back,) = re.findall(r"Plan ([0-9a-f]{64})", refused.inner_text())
    reverted = notebook.all("revert", mode="revert", approved_plan=way_back)
    expect(reverted).to_contain_text("PASSED none of 16 blocks is applied any more: 10 reverted")
    assert crm.dump("--exclude-schema=pgrunbook") == before
