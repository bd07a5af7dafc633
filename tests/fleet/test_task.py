"""What a worker makes of the plan of a target whose set was approved. No server."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgrunbook.errors import Verdict
from pgrunbook.fleet import task


@pytest.mark.parametrize(
    "verdict", [Verdict.LOCKED_OUT, Verdict.INTERRUPTED, Verdict.FAILED, Verdict.REFUSED]
)
def test_a_target_that_cannot_be_planned_is_what_its_plan_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    (tmp_path / "pgrunbook.toml").write_text("")
    planned = {"verdict": verdict, "reason": "held by ada"}
    monkeypatch.setattr(task, "look", lambda *_, **__: planned)
    told = task.run_one(
        str(tmp_path),
        "tenants",
        "001_notes",
        {"name": "acme", "service": "nowhere"},
        {"operator": "ada"},
        "apply",
        "run",
        cell_timeout_s=60,
        approved={"set": "5" * 64, "list": "6" * 64, "approver": "grace"},
    )
    assert told["verdict"] is verdict
    assert told["reason"] == "could not be planned: held by ada"


def test_a_target_is_not_run_by_other_files_than_those_before_it(tmp_path: Path) -> None:
    (tmp_path / "pgrunbook.toml").write_text("")
    told = task.run_one(
        str(tmp_path),
        "tenants",
        "001_notes",
        {"name": "acme", "service": "nowhere"},
        {"operator": "ada"},
        "apply",
        "run",
        cell_timeout_s=60,
        begun_with="5" * 64,
    )
    assert (told["verdict"], told["reason"]) == (Verdict.REFUSED, task.CHANGED)


def test_only_the_unsealed_beginning_of_the_same_run_is_taken_away(tmp_path: Path) -> None:
    names = ["a-0123abcd.ipynb", "b-0123abcd.ipynb", "b-0123abcd.dsse.json", "c-4567abcd.ipynb"]
    for name in names:
        (tmp_path / name).write_text("")
    task.take_away(tmp_path, "0123abcd-0000-4000-8000-000000000000")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
