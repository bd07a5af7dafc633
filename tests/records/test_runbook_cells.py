"""The cells of a record beside those of its runbook: none missing or altered, more of them told."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pgrunbook.records.format.mime_types import FRAME_MIME
from pgrunbook.records.record import Record
from pgrunbook.records.runbook_cells import RunbookCells
from pgrunbook.run.lifetime import Lifetime
from pgrunbook.run.run import Run
from pgrunbook.run.views import Views

RUNBOOK = {"target": "run = begin()", "look": "run.files", "verify": "run.verify()"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def cells(code: dict[str, str], *, listed: bool = True) -> RunbookCells:
    """Those of a record with this code, which shows what its runbook was."""
    about = {
        "kind": "preconditions",
        "columns": [],
        "rows": [],
        "code": {"runbooks/001_x.ipynb": sha256("\n\n".join(RUNBOOK.values()))},
        "cells": [(name, "code", sha256(text)) for name, text in RUNBOOK.items() if listed],
    }
    shown = {"output_type": "display_data", "data": {FRAME_MIME: about}}
    made: list[dict[str, Any]] = [
        {"id": name, "cell_type": "code", "metadata": {}, "source": text, "outputs": [shown]}
        for name, text in code.items()
    ]
    return RunbookCells(Record({"cells": made, "metadata": {}}))


@pytest.mark.parametrize("listed", [True, False])
def test_those_of_the_runbook_are_in_order(listed: bool) -> None:
    found = cells(RUNBOOK, listed=listed)
    assert ([*found.problems()], found.remark) == ([], "")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ({name: RUNBOOK[name] for name in ("target", "look")}, ["verify: is missing"]),
        (RUNBOOK | {"verify": "run.verify() or 1"}, ["verify: was altered"]),
        (
            {name: RUNBOOK[name] for name in ("target", "verify", "look")},
            ["verify: stands elsewhere"],
        ),
        (
            {"target": RUNBOOK["target"], "look": "run.files\n\nrun.verify()"},
            ["look: was altered", "verify: is missing"],
        ),
    ],
)
def test_what_is_not_as_in_the_runbook_is_named(code: dict[str, str], what: list[str]) -> None:
    found = [
        f"{each.where.split()[-1]}: {each.what.removeprefix('a code cell of the runbook ')}"
        for each in cells(code).problems()
    ]
    assert found == what


def test_more_cells_are_told() -> None:
    found = cells({"mine": "1 + 1", **RUNBOOK, "": ""})
    assert not [*found.problems()]
    assert found.remark == "cells that the runbook does not have: mine, without an id"


def test_without_a_list_of_the_cells_their_code_decides() -> None:
    (problem,) = cells(RUNBOOK | {"": ""}, listed=False).problems()
    assert problem.what == "the code of its cells is not that of the runbook that was run"


def test_the_outputs_of_every_call_that_shows_something_are_missed() -> None:
    calls = {name for name in vars(Run) | vars(Views) | vars(Lifetime) if name[0] != "_"}
    # what these show depends on the mode, is assigned to a variable, or is no evidence
    calls -= {"apply", "apply_all", "revert", "close", "observe", "help"}
    removed = {name: f"run.{name}" for name in calls}
    notebook = {"cells": cells(removed).record.notebook["cells"], "metadata": {}}
    for cell in notebook["cells"]:
        cell["outputs"] = []
    remark = RunbookCells(Record(notebook), passed=True).remark
    assert remark == f"cells that show nothing: {', '.join(removed)}"
