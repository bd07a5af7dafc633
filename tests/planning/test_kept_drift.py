"""What somebody has altered by hand, and is to stay: a block whose header names it takes it into
the ledger, with the same change for every other database.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.databases import Database
from support.projects import Outcome, Project

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

MADE = """-- title: T
-- why: W

CREATE TABLE z (id int PRIMARY KEY, n text);
CREATE INDEX z_n ON z (n);
CREATE TABLE ev (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
"""
# by hand, what a run says, and the block that keeps it
CHANGES = {
    "a privilege": (
        "GRANT SELECT ON z TO pg_monitor",
        "-- keeps: table public.z\n\nGRANT SELECT ON z TO pg_monitor;",
    ),
    "a partition that is gone": (
        "DROP TABLE ev_1",
        "-- keeps: table public.ev_1\n-- accepts: drops_table\n\nDROP TABLE IF EXISTS ev_1;",
    ),
    "in a block outside a transaction": (
        "GRANT SELECT ON z TO pg_monitor; DROP INDEX z_n",
        "-- keeps: table z, index public.z_n\n-- transaction: no\n\nVACUUM z;",
    ),
    "what it alters itself": (
        "GRANT SELECT ON z TO pg_monitor",
        "-- keeps: table z\n\nGRANT INSERT ON z TO pg_monitor;",
    ),
}


def blocks(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / "deploy" / f"{name}.sql").write_text(text)


def run(project: Project, *arguments: str) -> Outcome:
    return project.command("run", "009", "--target", "env:CRM_URL", *arguments)


@pytest.fixture
def folder(empty: Database, project: Project) -> Path:
    """A runbook with one block, which is applied."""
    project.env["CRM_URL"] = empty.url
    made = project.new("009_kept")
    blocks(made, **{"010_made": MADE})
    assert run(project).code == 0
    return made


@pytest.mark.parametrize("change", CHANGES)
def test_a_block_keeps_what_was_altered_by_hand(
    empty: Database, project: Project, folder: Path, change: str
) -> None:
    by_hand, keeps = CHANGES[change]
    empty.load(by_hand)
    refused = run(project)
    assert refused.code == 2, refused.text
    header = keeps.splitlines()[0]
    names = header.removeprefix("-- keeps: ").replace(" z", " public.z").split(", ")
    for name in names:
        assert f"`-- keeps: {name}`" in refused.text
    told = project.command("drift", "--target", "env:CRM_URL").text
    assert f"`-- keeps: {', '.join(sorted(names))}`" in told
    blocks(folder, **{"020_kept": f"-- title: T\n-- why: W\n{keeps}\n"})
    done = run(project)
    assert done.code == 0, done.text
    drift = project.command("drift", "--target", "env:CRM_URL")
    assert drift.code == 0, drift.text
    assert run(project, "--mode", "verify").code == 0


# by hand, the block that keeps it, and its revert script
UNDONE = {
    "a privilege": (
        "GRANT SELECT ON z TO pg_monitor",
        "-- keeps: table z\n\nGRANT SELECT ON z TO pg_monitor;",
        "REVOKE SELECT ON z FROM pg_monitor;",
    ),
    "an index that is gone": (
        "DROP INDEX z_n",
        "-- keeps: index z_n\n-- transaction: no\n\nDROP INDEX CONCURRENTLY IF EXISTS z_n;",
        "CREATE INDEX IF NOT EXISTS z_n ON z (n);",
    ),
}


@pytest.mark.parametrize("change", UNDONE)
def test_a_block_that_has_kept_something_is_undone(
    empty: Database, project: Project, folder: Path, change: str
) -> None:
    by_hand, keeps, undo = UNDONE[change]
    empty.load(by_hand)
    blocks(folder, **{"020_kept": f"-- title: T\n-- why: W\n{keeps}\n"})
    for name, sql in {"010_made": "DROP TABLE z; DROP TABLE ev;", "020_kept": undo}.items():
        (folder / "revert" / f"{name}.sql").write_text(f"-- title: T\n-- why: W\n\n{sql}\n")
    assert run(project).code == 0
    undone = run(project, "--mode", "revert")
    assert undone.code == 0, undone.text
    assert empty.execute("SELECT to_regclass('z')") == [(None,)]
    assert project.command("drift", "--target", "env:CRM_URL").code == 0


def test_what_somebody_has_added_is_not_undone(
    empty: Database, project: Project, folder: Path
) -> None:
    empty.load("ALTER TABLE z ADD COLUMN more int")
    keeps = "-- title: T\n-- why: W\n-- keeps: table column public.z.more\n\nSELECT 1;\n"
    blocks(folder, **{"020_kept": keeps})
    undo = "-- title: T\n-- why: W\n\nALTER TABLE z DROP COLUMN more;\n"
    (folder / "revert" / "020_kept.sql").write_text(undo)
    assert run(project).code == 0
    refused = run(project, "--mode", "revert")
    assert refused.code == 2
    assert "its script would take that away too" in refused.text


def test_nothing_else_is_kept(empty: Database, project: Project, folder: Path) -> None:
    empty.load("GRANT SELECT ON z TO pg_monitor; ALTER TABLE ev ADD COLUMN more int")
    blocks(
        folder,
        **{"020_kept": "-- title: T\n-- why: W\n-- keeps: table z\n\nCOMMENT ON TABLE z IS 'z';\n"},
    )
    refused = run(project)
    assert refused.code == 2
    assert "public.ev.more was added by hand" in refused.text
    assert "table public.z was altered" not in refused.text


def test_what_the_ledger_has_not_made_is_not_its_own_for_that(
    empty: Database, project: Project, folder: Path
) -> None:
    """Of a table that a block has only altered, and another one keeps, the columns are nobody's."""
    empty.load("CREATE TABLE theirs (id int, n text)")
    blocks(
        folder,
        **{"020_alters": "-- title: T\n-- why: W\n\nALTER TABLE theirs SET (fillfactor = 90);\n"},
    )
    assert run(project).code == 0
    empty.load("ALTER TABLE theirs SET (fillfactor = 80)")
    keeps = "-- title: T\n-- why: W\n-- keeps: table theirs\n\nALTER TABLE theirs SET (fillfactor = 80);\n"
    blocks(folder, **{"030_keeps": keeps})
    assert run(project).code == 0
    drift = project.command("drift", "--target", "env:CRM_URL")
    assert drift.code == 0, drift.text


def test_what_it_keeps_is_what_was_approved(
    empty: Database, project: Project, folder: Path
) -> None:
    empty.load("GRANT SELECT ON z TO pg_monitor")
    keeps = "-- title: T\n-- why: W\n-- keeps: table z\n\nGRANT SELECT ON z TO pg_monitor;\n"
    blocks(folder, **{"020_keeps": keeps})
    plan = run(project, "--mode", "plan")
    (digest,) = set(re.findall(r"\b[0-9a-f]{64}\b", plan.text))
    approved = ["-p", "approved_plan", digest, "-p", "operator", "ada", "-p", "approver", "grace"]
    empty.load("GRANT INSERT ON z TO pg_monitor")
    refused = run(project, *approved)
    assert refused.code == 2, refused.text
    assert "table public.z, kept" in refused.text
    empty.load("REVOKE INSERT ON z FROM pg_monitor")
    rehearsed = run(project, "--mode", "rehearse")
    assert digest in rehearsed.text, rehearsed.text
    done = run(project, *approved)
    assert done.code == 0, done.text


def test_a_view_that_is_there_and_replaced_with_the_same(empty: Database, project: Project) -> None:
    """Its columns, which the block does not write, are nobody's addition."""
    empty.load("CREATE VIEW v AS SELECT 1 AS id")
    files = project.root / "migrations"
    files.mkdir()
    (files / "1_v.sql").write_text("CREATE OR REPLACE VIEW v AS SELECT 1 AS id;")
    assert project.command("import", files, "replaced").code == 0
    project.env["CRM_URL"] = empty.url
    done = project.command("run", "003", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    assert project.command("drift", "--target", "env:CRM_URL").code == 0
