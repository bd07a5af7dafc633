"""The kernel of `pgrunbook run`, which is started before papermill asks for one: its end is
noticed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support import notebooks
from support.databases import Database
from support.projects import Outcome, Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

PASSED = """\
from pgrunbook.records.card import VerdictCard
from pgrunbook.records.format.parts import Card
VerdictCard(Card(verdict="passed", reason="done"))"""


def cells(project: Project, *sources: str) -> None:
    path = project.root / "runbooks" / "900_cells.ipynb"
    notebooks.write(path, *sources, declared='target = "embedded"\nmode = "apply"')


def run(project: Project, empty: Database) -> Outcome:
    project.env["CRM_URL"] = empty.url
    return project.command("run", "900_cells", "--target", "env:CRM_URL", kernel=True)


@pytest.mark.parametrize(
    ("cell", "code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 3, "the kernel died"),
        ("import os; os._exit(0)", 3, "the kernel died"),
        ("import sys; sys.exit(0)", 1, "a cell ended the kernel"),
    ],
)
def test_its_end_is_noticed(
    project: Project, empty: Database, cell: str, code: int, said: str
) -> None:
    cells(project, cell, PASSED)
    done = run(project, empty)
    assert (done.code, said in done.text) == (code, True), done.text


@pytest.mark.long
def test_a_folder_for_sockets_with_too_long_a_name(
    project: Project, empty: Database, tmp_path: Path
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    project.env["TMPDIR"] = str(folder)
    cells(project, PASSED)
    done = run(project, empty)
    assert "PASSED: done" in done.text
