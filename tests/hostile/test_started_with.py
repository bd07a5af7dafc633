"""A run works on the target, and in the mode, that it was started with: whatever else the cells of
its notebook say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.databases import Database
from support.projects import Project

Change = Callable[[dict[str, Any]], None]


def cell(source: str, *tags: str) -> Change:
    """Put a cell below that of the parameters."""

    def change(notebook: dict[str, Any]) -> None:
        cells = notebook["cells"]
        (place,) = [n for n, c in enumerate(cells) if "parameters" in c["metadata"].get("tags", ())]
        made = {"cell_type": "code", "id": "below", "metadata": {"tags": list(tags)}}
        cells.insert(
            place + 1, {**made, "source": [source], "outputs": [], "execution_count": None}
        )

    return change


def metadata(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["papermill"] = {"parameters": {"target": "env:OTHER_URL"}}


INJECTED = "# Parameters\ntarget = 'env:OTHER_URL'\nmode = 'apply'\n"
EXECUTED = "001_import_connector.ipynb: is an executed copy"
CHANGES: dict[str, tuple[Change, str]] = {
    "what papermill has left": (cell(INJECTED, "injected-parameters"), EXECUTED),
    "what papermill has left in the metadata": (metadata, EXECUTED),
    "a target": (cell("target = 'env:OTHER_URL'"), "target: is not what the run was started with"),
    "a mode": (cell("for mode in ['apply']: pass"), "mode: is not what the run was started with"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kernel", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_notebook_that_says_otherwise_is_refused_before_anything_is_reached(
    crm: Database, empty: Database, project: Project, change: str, *, kernel: bool
) -> None:
    changed, told = CHANGES[change]
    path = project.root / "runbooks" / "001_import_connector.ipynb"
    notebook = json.loads(path.read_text())
    changed(notebook)
    path.write_text(json.dumps(notebook))
    project.env.update(CRM_URL=crm.url, OTHER_URL=empty.url)
    done = project.command("run", "001", "--target", "env:CRM_URL", "--mode", "plan", kernel=kernel)
    assert done.code == 2, done.text
    assert told in done.text
    for database in (crm, empty):
        assert database.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]
    linted = project.command("lint")
    assert linted.code == 1, linted.text
    assert ("executed copy" in linted.text) or ("sets the parameter" in linted.text)


# Where the environment is changed that a target's name is looked up in.
ELSEWHERE = "import os; os.environ['CRM_URL'] = os.environ['OTHER_URL']"


@pytest.mark.parametrize("startup", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_reached(
    crm: Database, empty: Database, project: Project, tmp_path: Path, *, startup: bool
) -> None:
    if startup:  # of IPython, which a kernel alone runs
        file = tmp_path / "profile_default" / "startup" / "00.py"
        file.parent.mkdir(parents=True)
        file.write_text(ELSEWHERE)
        project.env["IPYTHONDIR"] = str(tmp_path)
    else:
        path = project.root / "runbooks" / "001_import_connector.ipynb"
        notebook = json.loads(path.read_text())
        cell(ELSEWHERE)(notebook)
        path.write_text(json.dumps(notebook))
    project.env.update(CRM_URL=crm.url, OTHER_URL=empty.url)
    done = project.command("run", "001", "--target", "env:CRM_URL", kernel=startup)
    assert done.code == 2, done.text
    assert "is not reached as where the run was started" in done.text
    for database in (crm, empty):
        assert database.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]


def test_a_copy_of_another_runbook_s_notebook_is_refused(crm: Database, project: Project) -> None:
    runbooks = project.root / "runbooks"
    (runbooks / "003_copy.ipynb").write_text((runbooks / "001_import_connector.ipynb").read_text())
    project.env["CRM_URL"] = crm.url
    done = project.command("run", "003", "--target", "env:CRM_URL")
    assert done.code == 2, done.text
    assert "003_copy.ipynb: begins another runbook" in done.text
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]


def test_papermill_itself_is_told_too(crm: Database, project: Project) -> None:
    path = project.root / "runbooks" / "001_import_connector.ipynb"
    notebook = json.loads(path.read_text())
    cell("", "x")(notebook)
    place = [c["id"] for c in notebook["cells"]].index("below")
    notebook["cells"].insert(
        place + 1, {**notebook["cells"].pop(place), "source": "mode = 'apply'"}
    )
    path.write_text(json.dumps(notebook))
    project.env["CRM_URL"] = crm.url
    done = project.papermill("env:CRM_URL", "-p", "mode", "plan")
    assert done.code != 0, done.text
    assert "mode: is not what the run was started with" in done.text
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]
