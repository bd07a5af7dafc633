"""Blocks that somebody has done by hand, on tables of blocks that a run has applied: they are
adopted, and the ledger expects what they make. What no pending block makes is drift.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.databases import Database
from support.projects import Outcome, Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

BY_HAND = "ALTER TABLE t ADD b int; CREATE TABLE kinds (id int PRIMARY KEY);"
ROWS = "INSERT INTO t VALUES (1, 2);"
MORE = "CREATE INDEX t_b ON t (b);"
CELLS = ["run.apply_all()", "run.apply('010_t'); run.apply('020_by_hand'); run.apply('030_more')"]


def command(project: Project, *arguments: str) -> Outcome:
    return project.command(*arguments, "--target", "env:CRM_URL")


@pytest.fixture
def deploy(empty: Database, project: Project) -> Path:
    """The blocks of a runbook, of which a run has applied the first."""
    project.env["CRM_URL"] = empty.url
    made = project.new("009_kinds")
    write(made / "deploy" / "010_t.sql", "CREATE TABLE t (a int);")
    done = command(project, "run", "009")
    assert done.code == 0, done.text
    return made / "deploy"


def write(path: Path, sql: str) -> None:
    path.write_text(f"-- title: T\n-- why: W\n{sql}\n")


@pytest.mark.parametrize("cell", CELLS, ids=["in one cell", "in cells"])
@pytest.mark.parametrize("rows", ["", ROWS], ids=["judged by the twin", "named by adopt"])
def test_what_was_done_by_hand_is_adopted_and_expected(
    empty: Database, project: Project, deploy: Path, cell: str, rows: str
) -> None:
    empty.load(BY_HAND + rows)
    write(deploy / "020_by_hand.sql", BY_HAND + rows)
    write(deploy / "030_more.sql", MORE)
    notebook = project.root / "runbooks" / "009_kinds.ipynb"
    notebook.write_text(notebook.read_text().replace(CELLS[0], cell))
    done = command(project, "run", "009", *(["-p", "adopt", "020_by_hand"] if rows else []))
    assert done.code == 0, done.text
    assert "1 adopted, 1 applied" in done.text
    assert len(empty.execute("SELECT FROM t")) == bool(rows)
    told = command(project, "drift")
    assert told.code == 0, told.text
    assert "nothing was left to do" in command(project, "run", "009").text
    empty.load("ALTER TABLE t ALTER b SET DEFAULT 3; ALTER TABLE kinds DROP CONSTRAINT kinds_pkey")
    told = command(project, "drift")
    assert "public.t.b" in told.text
    assert "kinds_pkey" in told.text


@pytest.mark.parametrize("by_hand", BY_HAND.split("; "), ids=["in part", "the rest"])
@pytest.mark.long
def test_what_is_there_of_a_block_that_is_completed_is_no_drift(
    empty: Database, project: Project, deploy: Path, by_hand: str
) -> None:
    empty.load(by_hand)
    write(deploy / "020_by_hand.sql", BY_HAND)
    done = command(project, "run", "009")
    assert done.code == 0, done.text
    assert "1 applied" in done.text
    told = command(project, "drift")
    assert told.code == 0, told.text


@pytest.mark.parametrize("adopt", ["", "020_by_hand"])
def test_what_is_not_as_the_block_makes_it_or_is_of_no_block_is_drift(
    empty: Database, project: Project, deploy: Path, adopt: str
) -> None:
    empty.load(BY_HAND.replace("b int", "b text, ADD c int"))
    write(deploy / "020_by_hand.sql", BY_HAND)
    done = command(project, "run", "009", "-p", "adopt", adopt)
    assert done.code == 2, done.text
    assert "table column public.t.c was added by hand" in done.text
    assert ("table column public.t.b was added by hand" in done.text) != bool(adopt)


def test_what_if_not_exists_would_leave_altered_is_drift(
    empty: Database, project: Project, deploy: Path
) -> None:
    empty.load("ALTER TABLE t ALTER a SET DEFAULT 7")
    write(deploy / "020_by_hand.sql", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int;")
    done = command(project, "run", "009")
    assert done.code == 2, done.text
    assert "table column public.t.a was altered by hand" in done.text


@pytest.mark.parametrize("cell", CELLS, ids=["in one cell", "in cells"])
def test_an_invalid_index_that_a_later_block_makes_anew_is_no_drift(
    empty: Database, project: Project, deploy: Path, cell: str
) -> None:
    unique = "CREATE UNIQUE INDEX {} t_a ON t (a);"
    invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a'::regclass"
    empty.load(unique.format("") + invalid)
    write(deploy / "020_by_hand.sql", "ALTER TABLE t ADD b int;")
    write(deploy / "030_more.sql", f"-- transaction: no\n{unique.format('CONCURRENTLY')}")
    notebook = project.root / "runbooks" / "009_kinds.ipynb"
    notebook.write_text(notebook.read_text().replace(CELLS[0], cell))
    done = command(project, "run", "009")
    assert done.code == 0, done.text
    told = command(project, "drift")
    assert told.code == 0, told.text
