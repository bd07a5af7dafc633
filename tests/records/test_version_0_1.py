"""An archive and a ledger that version 0.1 has written are read as they are: a record is for years."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.databases import Database
from support.projects import Project

WRITTEN = Path(__file__).with_name("of_0_1")
RECORDS = sorted((WRITTEN / "archive").rglob("*.ipynb"))


@pytest.fixture
def archive(project: Project) -> Path:
    """The archive, in a project of the test's own."""
    shutil.copytree(WRITTEN / "archive", project.root / "outputs")
    return project.root / "outputs"


@pytest.mark.usefixtures("archive")
def test_its_archive_is_unchanged(project: Project) -> None:
    done = project.command("archive", "verify")
    assert (done.code, f"unchanged: {len(RECORDS)} sealed" in done.text) == (0, True), done.text


def test_a_byte_that_is_changed_shows(project: Project, archive: Path) -> None:
    record = archive / RECORDS[0].relative_to(WRITTEN / "archive")
    record.write_text(record.read_text().replace("passed", "failed", 1))
    assert project.command("archive", "verify").code == 1


def test_its_pages_and_their_difference(project: Project, archive: Path) -> None:
    made = project.command("archive", "site")
    assert f"{len(RECORDS)} records, {len(RECORDS)} pages made" in made.text
    index = (archive / "site" / "index.html").read_text()
    for verdict, count in (("passed", 5), ("failed", 1)):
        assert index.count(f'class="verdict {verdict}"') == count
    one, other = (archive / path.relative_to(WRITTEN / "archive") for path in RECORDS[3:5])
    assert project.command("archive", "diff", one, other).code in (0, 1)


@pytest.mark.parametrize("server", [18], indirect=True)
def test_its_ledger_is_read_as_it_is(project: Project, crm: Database) -> None:
    crm.psql("--file", WRITTEN / "ledger.sql")
    project.env["CRM_URL"] = crm.url
    done = project.command("status", "001", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    assert "pending" not in done.text
    assert "applied" in done.text
