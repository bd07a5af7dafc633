"""What `pgrunbook fleet` refuses before anything is begun. No server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pgrunbook.cli.main import main
from pgrunbook.runbooks import scaffold
from pgrunbook.runbooks.project import Project

DIGEST = "5" * 64


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pgrunbook.toml").write_text('[fleets.tenants]\ntargets_file = "tenants.jsonl"')
    row = {"name": "acme", "service": "nowhere", "schema": "acme"}
    (tmp_path / "tenants.jsonl").write_text(json.dumps(row))
    scaffold.new(Project.find(tmp_path), "notes")
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(tmp_path))
    return tmp_path


def fleet(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["fleet", *arguments])


RUN = ("run", "001", "--fleet", "tenants")
APPROVED = (*RUN, "--approved-set", DIGEST, "-p", "operator", "ada")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*RUN, "-p", "schema", "public"), "schema: is each target's own"),
        ((*RUN, "-p", "approved_plan", DIGEST), "approved_plan: is each target's own"),
        ((*RUN, "-p", "ticked", "CRM-1"), "did you mean ticket?"),
        (("run", "001", "--fleet", "tenant"), "did you mean tenants?"),
        (("run", "002", "--fleet", "tenants"), "no runbook is called '002'"),
        (APPROVED, "is not approved by somebody else"),
        ((*APPROVED, "-p", "approver", " ADA"), "without white space around it"),
        ((*APPROVED, "-p", "approver", "ADA"), "is not approved by somebody else"),
        (
            (*APPROVED, "-p", "approver", "grace", "--mode", "revert"),
            "takes no approval of a set",
        ),
        (("status", "--fleet", "tenants"), "has not been run"),
        (("resume", "--fleet", "tenants"), "has not been run"),
        (("abort", "--fleet", "tenants"), "has not been run"),
        (("resume", "--fleet", "tenants", "--operator", " "), "does not say who"),
    ],
)
@pytest.mark.usefixtures("root")
def test_what_is_refused(arguments: tuple[str, ...], told: str) -> None:
    done = fleet(*arguments)
    assert done.exit_code == 2, done.output
    assert told in done.output, done.output


def test_nothing_was_begun_then(root: Path) -> None:
    document = fleet(*APPROVED, "--json").stdout
    assert json.loads(document)["verdict"] == "refused"
    assert not (root / "outputs").exists()


def test_a_run_names_a_journal_that_is_none_and_goes_on(root: Path) -> None:
    left = root / "outputs/tenants/002_other/2026-01-01T000000.000Z-0a1b2c3d.fleet.jsonl"
    left.parent.mkdir(parents=True)
    left.write_text('{"event": "begun"}\n')
    done = fleet(*RUN, "--json")
    told = f"warning: tenants/002_other/{left.name} is not the journal of a fleet's run: begun.at"
    assert told in done.stderr, done.output
    assert json.loads(done.stdout)["message"] == "1 target: 1 set aside"
