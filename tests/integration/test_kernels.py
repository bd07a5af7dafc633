"""The kernel of `pgrunbook run`, which begins as a copy of the runner: to the cells it is as any other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import nbformat
import pytest
from databases import Database
from projects import Outcome, Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

PASSED = """\
from pgrunbook.card import VerdictCard
from pgrunbook.errors import Verdict
VerdictCard(Verdict.PASSED, "done", {})"""

LOOK = """\
import asyncio, debugpy, json, os, signal, sys, threading
await asyncio.sleep(0)
told = {
    "program": [os.path.basename(sys.argv[0]), *sys.argv[1:2]],
    "path": sys.path,
    "main": sys.modules["__main__"] is sys.modules[__name__],
    "input": os.read(0, 1).decode(),
    "group": os.getpgrp() == os.getsid(0) == os.getpid(),
    "parent": os.environ["JPY_PARENT_PID"] == str(os.getppid()),
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "terminate": str(signal.getsignal(signal.SIGTERM)),
    "folder": os.getcwd(),
    "threads": sorted({thread.name.partition("-")[0] for thread in threading.enumerate()}),
    "outside": "click" in globals(),
    "debugger": hasattr(debugpy, "listen"),
}
print(json.dumps(told))"""


def cells(project: Project, *sources: str) -> None:
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.cells = [nbformat.v4.new_code_cell('target = "embedded"\nmode = "apply"', metadata={"tags": ["parameters"]})]
    made.cells += [nbformat.v4.new_code_cell(source, id=f"cell{n}") for n, source in enumerate(sources)]
    nbformat.write(made, project.root / "runbooks" / "900_cells.ipynb")


def run(project: Project, empty: Database) -> Outcome:
    project.env["CRM_URL"] = empty.url
    return project.command("run", "900_cells", "--target", "env:CRM_URL")


def told(notebook: Any) -> dict[str, Any]:
    (text,) = [out["text"] for cell in notebook["cells"] for out in cell["outputs"] if "told" in cell["source"]]
    found: dict[str, Any] = json.loads(text)
    return found


def test_it_is_what_another_interpreter_would_be(project: Project, empty: Database) -> None:
    cells(project, LOOK, PASSED)
    done = run(project, empty)
    assert done.notebook, done.text
    forked = told(nbformat.read(done.notebook, 4))

    plain = project.root / "plain.ipynb"
    papermill = [sys.executable, "-m", "papermill", "runbooks/900_cells.ipynb", str(plain), "--no-progress-bar"]
    subprocess.run(papermill, cwd=project.root, check=True, capture_output=True)
    assert forked == told(nbformat.read(plain, 4))


@pytest.mark.parametrize(
    ("cell", "code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 3, "the kernel died"),
        ("import os; os._exit(0)", 3, "the kernel died"),
        ("import sys; sys.exit(0)", 1, "a cell ended the kernel"),
    ],
)
def test_its_end_is_noticed(project: Project, empty: Database, cell: str, code: int, said: str) -> None:
    cells(project, cell, PASSED)
    done = run(project, empty)
    assert (done.code, said in done.text) == (code, True), done.text


def test_nobody_waits_for_a_debugger(project: Project, empty: Database) -> None:
    cells(project, "import sys; print([name for name in sys.modules if name.startswith(('debugpy', 'pydev'))])", PASSED)
    done = run(project, empty)
    assert done.cells["cell0"].strip() == "[]"


def test_it_is_a_copy_where_it_can_be(project: Project, empty: Database) -> None:
    cells(project, "import os; print(open(f'/proc/{os.getpid()}/cmdline').read())", PASSED)
    done = run(project, empty)
    assert "900_cells" in done.cells["cell0"]
