"""`pgrunbook import` as people and programs call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pgrunbook.toml").write_text("")
    return Project(tmp_path)


@pytest.fixture
def folder(project: Project) -> Path:
    folder = project.root / "migrations"
    folder.mkdir()
    for number in (1, 2, 3):
        text = f"BEGIN;\nCREATE TABLE t{number} (n int);\nCOMMIT;\n"
        (folder / f"00{number}_t.up.sql").write_text(text)
    (folder / "001_t.down.sql").write_text("DROP TABLE t1;\n")
    (folder / "lock.toml").write_text("")
    return folder


def test_people_read_what_was_said_in_another_way(project: Project, folder: Path) -> None:
    done = project.command("import", folder, "app")
    assert done.text.splitlines() == [
        "note: migrations/001_t.up.sql:1, and 2 more: BEGIN is left out: a block commits with its "
        "ledger row",
        "note: migrations/001_t.up.sql:3, and 2 more: COMMIT is left out: a block commits with its "
        "ledger row",
        "left alone, as no SQL: lock.toml",
        "001_app: 3 blocks made of 3 files, 1 with a revert script",
        "next: pgrunbook lint; pgrunbook run 001 --target service:NAME --mode plan",
    ]
    assert done.code == 0
    assert project.command("lint").text == "0 findings\n"


def test_programs_read_one_document(project: Project, folder: Path) -> None:
    done = project.command("import", folder, "app", "--json", "--dry-run")
    document = json.loads(done.text)
    assert document["verdict"] == "passed"
    assert document["runbook"] == "001_app"
    assert document["blocks"][0] == {
        "name": "001_t",
        "file": "migrations/001_t.up.sql",
        "line": 2,
        "transaction": True,
        "revert": True,
    }
    assert len(document["notes"]) == 6
    assert document["left"] == ["lock.toml"]
    assert not (project.root / "sql").exists()


@pytest.mark.parametrize("options", [(), ("--json",), ("--dry-run",)])
def test_what_cannot_be_taken_over_refuses_it(
    project: Project, folder: Path, options: tuple[str, ...]
) -> None:
    (folder / "004_bad.sql").write_text("\\i other.sql\nLISTEN x;\n")
    done = project.command("import", folder, "app", *options)
    assert done.code == 2
    assert "migrations/004_bad.sql:1" in done.text
    assert "migrations/004_bad.sql:2" in done.text
    assert not (project.root / "sql").exists()


def test_a_folder_that_is_not_there_is_refused(project: Project) -> None:
    done = project.command("import", "nowhere", "app")
    assert done.code == 2
    assert "nowhere: is no folder" in done.text


def test_the_next_command_names_the_only_target(project: Project, folder: Path) -> None:
    (project.root / "pgrunbook.toml").write_text('[targets.staging]\nservice = "crm"\n')
    last = project.command("import", folder, "app").text.splitlines()[-1]
    assert last == "next: pgrunbook lint; pgrunbook run 001 --target staging --mode plan"


def test_one_block_of_one_file(project: Project, folder: Path) -> None:
    for number in (2, 3):
        (folder / f"00{number}_t.up.sql").unlink()
    done = project.command("import", folder, "app")
    assert "001_app: 1 block made of 1 file, 1 with a revert script\n" in done.text
