"""From a plan to the way back, as docs/change-control.md has it; the commands are its own."""

from __future__ import annotations

import re
import shlex

import pytest
from support.databases import Database
from support.projects import ROOT, Outcome, Project

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.newest]

PAGE = (ROOT / "docs" / "change-control.md").read_text()
WITHOUT_LEDGER = "--exclude-schema=pgrunbook"


def command(project: Project, mode: str, digest: str = "") -> Outcome:
    """The page's command for a mode; without one, that of the run itself."""
    commands = re.findall(r"^pgrunbook (run 001 .*)$", PAGE, re.MULTILINE)
    (found,) = [
        line for line in commands if (f"--mode {mode}" in line if mode else "--mode" not in line)
    ]
    return project.command(*shlex.split(found.replace("DIGEST", digest)))


def digests(text: str) -> set[str]:
    return set(re.findall(r"[0-9a-f]{64}", text))


@pytest.mark.long
def test_plan_rehearse_approve_apply_revert(crm: Database, project: Project) -> None:
    configuration, _ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)  # and that of a copy
    others = re.sub(r"^(database|system_identifier) .*\n", "", configuration, flags=re.MULTILINE)
    (project.root / "pgrunbook.toml").write_text(others + crm.known_by)
    project.env["PRODUCTION_URL"] = crm.url
    before = crm.dump()

    planned = command(project, "plan")
    assert planned.code == 0, planned.text
    (digest,) = digests(planned.cells["verdict"])
    assert f"plan:     {digest}\n" in planned.text
    early = command(project, "", digest)
    assert early.code == 2
    assert "plan: was not rehearsed" in early.text
    rehearsed = command(project, "rehearse")
    assert rehearsed.code == 0, rehearsed.text
    assert digest in rehearsed.cells["plan"]
    assert crm.dump() == before

    applied = command(project, "", digest)
    assert applied.code == 0, applied.text
    assert f"plan {digest} by grace" in applied.cells["target"]
    assert rehearsed.notebook
    assert rehearsed.notebook.name in applied.cells["plan"]
    assert applied.notebook
    same = project.command("archive", "diff", rehearsed.notebook, applied.notebook)
    assert same.code == 0, same.text

    refused = command(project, "revert", digest)
    assert refused.code == 2
    assert "plan: is not the one that was approved" in refused.text
    (way_back,) = digests(refused.cells["preconditions"]) - {digest}
    reverted = command(project, "revert", way_back)
    assert reverted.code == 0, reverted.text
    assert crm.dump(WITHOUT_LEDGER) == before
    checked = project.command("archive", "verify", "--target", "production")
    assert checked.code == 0, checked.text
