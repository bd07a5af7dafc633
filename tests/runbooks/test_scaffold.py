"""The names of new runbooks: what the template makes of them has to work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgrunbook import Refused
from pgrunbook.runbooks import scaffold
from pgrunbook.runbooks.lint import lint
from pgrunbook.runbooks.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pgrunbook.toml").write_text("")
    return Project.find(tmp_path)


@pytest.mark.parametrize("name", ["plan", "verify", "a" * 40, "009_notes"])
def test_any_name_gives_cells_of_their_own_and_sql_without_findings(
    project: Project, name: str
) -> None:
    notebook, *scripts = scaffold.new(project, name)
    ids = [cell["id"] for cell in json.loads(notebook.read_text())["cells"]]
    assert len(set(ids)) == len(ids)
    assert len(scripts) == 3
    assert lint(project.root / "sql") == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("order", "reserved word"),
        ("left", "reserved word"),
        ("009_left", "reserved word"),
        ("Notes", "lower-case words"),
        ("notes;", "lower-case words"),
        ("2_notes", "lower-case words"),
        ("../notes", "lower-case words"),
        ("a" * 41, "lower-case words"),
    ],
)
def test_a_name_that_cannot_be_one_makes_no_file(project: Project, name: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        scaffold.new(project, name)
    assert [path.name for path in project.root.iterdir()] == ["pgrunbook.toml"]


def test_numbers_go_on_after_the_last_even_where_a_notebook_is_gone(project: Project) -> None:
    scaffold.new(project, "notes")[0].unlink()
    assert scaffold.new(project, "more_notes")[0].stem == "002_more_notes"
