"""`run --html` makes the page that `archive site` would make: there is one page of a notebook."""

from __future__ import annotations

import re

import pytest
from support.databases import Database
from support.projects import Project


@pytest.mark.parametrize("server", [18], indirect=True)
def test_the_page_of_a_run_is_the_reviewers(crm: Database, project: Project) -> None:
    done = project.run(crm, "--mode", "plan", "--html")
    assert done.code == 0, done.text
    (page,) = re.findall(r"^page: +(.+)$", done.text, re.MULTILINE)
    assert page.startswith("outputs/site/")
    made = (project.root / page).read_text()
    assert "PASSED" in made.upper()
    assert "1 record, 0 pages made" in project.command("archive", "site").text
