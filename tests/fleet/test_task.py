"""What a worker makes of the plan of a target whose set was approved. No server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.projects import ROOT

from pgrunbook.errors import Problem, Verdict
from pgrunbook.fleet import task
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.runbooks.project import Project


def run_one(root: Path, **more: Any) -> dict[str, Any]:
    """What a task says of a target that nobody can reach."""
    (root / "pgrunbook.toml").write_text("")
    return task.run_one(
        str(root),
        "tenants",
        "001_notes",
        {"name": "acme", "service": "nowhere"},
        {"operator": "ada"},
        "apply",
        "run",
        cell_timeout_s=60,
        **more,
    )


@pytest.mark.parametrize(
    "verdict", [Verdict.LOCKED_OUT, Verdict.INTERRUPTED, Verdict.FAILED, Verdict.REFUSED]
)
def test_a_target_that_cannot_be_planned_is_what_its_plan_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    planned = {"verdict": verdict, "reason": "held by ada"}
    monkeypatch.setattr(task, "look", lambda *_, **__: planned)
    approved = {"set": "5" * 64, "list": "6" * 64, "approver": "grace"}
    told = run_one(tmp_path, approved=approved)
    assert told["verdict"] is verdict
    assert told["reason"] == "could not be planned: held by ada"


def test_a_target_is_not_run_by_other_files_than_those_before_it(tmp_path: Path) -> None:
    told = run_one(tmp_path, begun_with="5" * 64)
    assert (told["verdict"], told["reason"]) == (Verdict.REFUSED, task.CHANGED)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("schema acme", "schema acme: does not exist"),
        ("target 'service:acme'", "does not exist"),
        ("", "does not exist"),
    ],
)
def test_what_is_wrong_on_a_target_is_told_with_its_place_there(where: str, reason: str) -> None:
    ending = Ending(
        Verdict.REFUSED, "It is not ready.", problems=(Problem("does not exist", where),)
    )
    assert task._result(ending) == {"verdict": Verdict.REFUSED, "reason": reason}


def test_only_the_unsealed_beginning_of_the_same_run_is_taken_away(tmp_path: Path) -> None:
    names = ["a-0123abcd.ipynb", "b-0123abcd.ipynb", "b-0123abcd.dsse.json", "c-4567abcd.ipynb"]
    for name in names:
        (tmp_path / name).write_text("")
    task.remove_unsealed(tmp_path, "0123abcd-0000-4000-8000-000000000000")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_what_an_editor_keeps_beside_the_files_is_not_what_a_runbook_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "runbooks", tmp_path / "runbooks")
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    (tmp_path / "pgrunbook.toml").write_text("")
    project, runbook = Project.find(tmp_path), "001_import_connector"
    before = task.code_digest(project, runbook)
    copies = project.sql(runbook) / "deploy" / ".ipynb_checkpoints"
    copies.mkdir()
    (copies / "010_x-checkpoint.sql").write_text("SELECT 1;\n")
    assert task.code_digest(project, runbook) == before
    (project.sql(runbook) / "deploy" / "090_x.sql").write_text("SELECT 1;\n")
    assert task.code_digest(project, runbook) != before
