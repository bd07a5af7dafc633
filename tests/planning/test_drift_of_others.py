"""What another runbook has set and somebody has altered by hand: a block that is about to alter it
is refused; elsewhere it is told.
"""

from __future__ import annotations

import pytest
from support.databases import Database
from support.projects import Outcome, Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

MADE = """
CREATE TABLE t (a int PRIMARY KEY, z int); CREATE TABLE u (k int);
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""


def make(project: Project, name: str, sql: str, header: str = "") -> Outcome:
    """Run a new runbook of one block."""
    assert project.command("new", name).code == 0
    made = project.root / "sql" / name
    for each in made.glob("*/*"):
        each.unlink()
    project.apply_all(name)
    text = f"-- title: T\n-- why: W\n{header}{sql}\n"
    (made / "deploy" / f"010_{name[4:]}.sql").write_text(text)
    return project.command("run", name, "--target", "env:CRM_URL")


@pytest.fixture
def made(empty: Database, project: Project) -> None:
    project.env["CRM_URL"] = empty.url
    done = make(project, "008_first", MADE)
    assert done.code == 0, done.text


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("by_hand", "sql", "named"),
    [
        ("ALTER TABLE t ADD b int", "ALTER TABLE t ADD c int", "table column public.t.b"),
        ("ALTER TABLE t DROP z", "CREATE INDEX ON t (a)", "table column public.t.z"),
        ("DROP TABLE u", "CREATE TABLE u (k int)", "table public.u"),
        ("ALTER TABLE u SET UNLOGGED", "COMMENT ON COLUMN u.k IS 'key'", "table public.u"),
        ("ALTER TABLE u ALTER k SET DEFAULT 1", "GRANT SELECT ON u TO PUBLIC", "public.u.k"),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 3'",
            "function public.f()",
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
            "DROP FUNCTION f()",
            "function public.f()",
        ),
    ],
)
def test_a_block_that_alters_it_is_refused(
    empty: Database, project: Project, by_hand: str, sql: str, named: str
) -> None:
    empty.load(by_hand)
    before = empty.dump("-s")
    done = make(project, "009_second", sql)
    assert done.code == 2, done.text
    assert f"010_second: alters what was altered by hand: {named}" in done.text.replace(
        "table column public.u", "public.u"
    )
    assert "010_first of 008_first" in done.text
    assert empty.dump("-s") == before


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("by_hand", "sql"),
    [
        ("ALTER TABLE u ADD q int", "ALTER TABLE t ADD c int"),
        ("ALTER TABLE t ADD b int", "CREATE TABLE x (k int REFERENCES t)"),
        ("ALTER TABLE t ADD b int", "INSERT INTO t VALUES (1, 2)"),
    ],
)
def test_elsewhere_it_is_told(empty: Database, project: Project, by_hand: str, sql: str) -> None:
    empty.load(by_hand)
    done = make(project, "009_second", sql)
    assert done.code == 0, done.text
    assert done.notebook
    assert "1 object of other runbooks drifted, which no block touches" in done.notebook.read_text()
    assert project.command("drift", "--target", "env:CRM_URL").code == 1


@pytest.mark.usefixtures("made")
def test_what_a_block_keeps_is_taken_over(empty: Database, project: Project) -> None:
    empty.load("ALTER TABLE t ADD b int")
    done = make(
        project, "009_second", "ALTER TABLE t ADD c int;", "-- keeps: table column public.t.b\n"
    )
    assert done.code == 0, done.text
    told = project.command("drift", "--target", "env:CRM_URL")
    assert told.code == 0, told.text
