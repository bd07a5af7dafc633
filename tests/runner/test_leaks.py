"""The record of a run holds no secret: neither its own, as a search says, nor by a false alarm."""

from __future__ import annotations

import json
from collections.abc import Callable

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from support.databases import Database, Role
from support.projects import Project

from pgrunbook.postgres.target import Target
from pgrunbook.records import leaks
from pgrunbook.runbooks import credentials
from pgrunbook.secrets import search

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


def test_the_record_of_a_run_with_a_password(
    crm: Database, project: Project, login_role: Callable[..., Role]
) -> None:
    """I4, and no false alarm: a record that was refused for nothing would be no record."""
    role = login_role(crm, 'it\'s "p@ss" %41\\wörd')
    crm.execute(f"GRANT {crm.execute('SELECT current_user')[0][0]} TO {role.name}")
    project.env["CRM_URL"] = role.url
    done = project.run("env:CRM_URL")
    assert done.code == 0, done.text
    assert done.notebook
    secrets = credentials.passwords_of(Target("env:CRM_URL", role.url))
    assert role.password in secrets
    record = nbformat.read(done.notebook, as_version=4)
    assert leaks.search(record, secrets) == []
    assert search.search_text(done.notebook.read_text(), secrets, "file") == []


GIVES_AWAY = """
import json, os, urllib.parse
word = urllib.parse.unquote(os.environ["CRM_URL"].split(":", 2)[2].split("@")[0])
print("connecting with", repr(word))
raise ValueError(json.dumps({"tried": word}))
"""


def test_a_cell_that_gives_a_password_away(
    crm: Database, project: Project, login_role: Callable[..., Role]
) -> None:
    """It is masked before anything is written, fails the run, and the record is sealed without
    it.
    """
    role = login_role(crm, 'it\'s "p@ss" %41\\wörd')
    project.env["CRM_URL"] = role.url
    runbook = project.root / "runbooks" / "001_import_connector.ipynb"
    runbook.write_text(runbook.read_text().replace('"run.target"', f"{json.dumps(GIVES_AWAY)}"))
    done = project.run("env:CRM_URL", "--mode", "plan")
    assert done.code == 1, done.text
    assert "A password of this run was in the notebook, and is masked" in done.text
    assert "cell `target`, output 1: a password that the run knew" in done.text
    assert "seal:" in done.text
    assert done.notebook
    secrets = credentials.passwords_of(Target("env:CRM_URL", role.url))
    for path in [*project.root.glob("outputs/**/*")]:
        if path.is_file():
            assert search.search_text(path.read_text(), secrets, path.name) == []
    assert search.search_text(done.text, secrets, "terminal") == []


LATER = """
import os, urllib.parse
shown.update(urllib.parse.unquote(os.environ["CRM_URL"].split(":", 2)[2].split("@")[0]))
"""


def test_a_cell_that_gives_a_password_away_where_an_earlier_one_has_shown_something(
    crm: Database, project: Project, login_role: Callable[..., Role]
) -> None:
    role = login_role(crm, "correct horse battery")
    project.env["CRM_URL"] = role.url
    runbook = project.root / "runbooks" / "001_import_connector.ipynb"
    cells = json.loads(runbook.read_text())
    first, second, *_ = [
        c for c in cells["cells"] if c["cell_type"] == "code" and not c["metadata"].get("tags")
    ]
    first["source"] += '\nshown = display("nothing yet", display_id=True)'
    second["source"] = LATER
    runbook.write_text(json.dumps(cells))
    done = project.run("env:CRM_URL", "--mode", "plan")
    assert done.code == 1, done.text
    assert "A password of this run was in the notebook, and is masked" in done.text
    for path in [*project.root.glob("outputs/**/*")]:
        assert path.is_dir() or role.password not in path.read_text()


def test_what_papermill_itself_wrote_is_searched_before_it_is_sealed(
    crm: Database, project: Project, login_role: Callable[..., Role]
) -> None:
    role = login_role(crm, "correct horse battery")
    project.env["CRM_URL"] = role.url
    notebook = project.root / "outputs" / "x.ipynb"
    notebook.parent.mkdir()
    parameters = new_code_cell("target = 'env:CRM_URL'", metadata={"tags": ["parameters"]})
    shown = new_output("stream", text="the password is correct horse battery\n")
    nbformat.write(
        new_notebook(cells=[parameters, new_code_cell("1", id="one", outputs=[shown])]), notebook
    )
    done = project.command("archive", "seal", notebook)
    assert done.code == 1
    assert "cell `one`, output 1: a password that the run knew" in done.text
    assert not list(notebook.parent.glob("*.dsse.json"))
    # masked meanwhile, so that a record of it need not be lost
    assert role.password not in notebook.read_text()
    assert project.command("archive", "seal", notebook).code == 0
