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
CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN d AS int; CREATE SEQUENCE s;
CREATE INDEX u_k ON u (k);
"""


def make(project: Project, name: str, sql: str, header: str = "") -> Outcome:
    """Run a new runbook of one block."""
    made = project.new(name)
    text = f"-- title: T\n-- why: W\n{header}{sql}\n"
    (made / "deploy" / f"010_{name[4:]}.sql").write_text(text)
    return project.command("run", name, "--target", "env:CRM_URL")


@pytest.fixture
def made(empty: Database, project: Project) -> None:
    project.env["CRM_URL"] = empty.url
    done = make(project, "008_first", MADE)
    assert done.code == 0, done.text


# What was altered by hand, a block that alters it further, and how it is named.
ALTERED = [
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
    ("ALTER FUNCTION f() COST 7", "ALTER FUNCTION f() STABLE", "function public.f()"),
    ("ALTER FUNCTION f() COST 7", "ALTER FUNCTION f() RENAME TO g", "function public.f()"),
    ("ALTER FUNCTION f() COST 7", "COMMENT ON FUNCTION f() IS 'f'", "function public.f()"),
    ("ALTER TYPE mood ADD VALUE 'ok'", "ALTER TYPE mood ADD VALUE 'up'", "type public.mood"),
    (
        "ALTER DOMAIN d ADD CHECK (value > 0)",
        "ALTER DOMAIN d SET DEFAULT 1",
        "domain constraint d_check",
    ),
    ("ALTER SEQUENCE s CACHE 7", "ALTER SEQUENCE s INCREMENT 2", "sequence public.s"),
    ("ALTER INDEX u_k SET (fillfactor = 70)", "DROP INDEX u_k", "index public.u_k"),
    (
        "ALTER TABLE u ALTER k SET DEFAULT 1",
        "CREATE TABLE p (k int) PARTITION BY LIST (k); ALTER TABLE p ATTACH PARTITION u DEFAULT",
        "public.u.k",
    ),
    ("ALTER TABLE t ADD b int", "CREATE TABLE c () INHERITS (t)", "table column public.t.b"),
]
FEW = slice(0, None, 5)  # the others alter it by other statements


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("by_hand", "sql", "named"),
    [
        pytest.param(*case, marks=() if case in ALTERED[FEW] else pytest.mark.long)
        for case in ALTERED
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
        pytest.param(
            "ALTER TABLE t ADD b int", "CREATE TABLE x (k int REFERENCES t)", marks=pytest.mark.long
        ),
        ("ALTER TABLE t ADD b int", "INSERT INTO t VALUES (1, 2)"),
        pytest.param(
            "ALTER TABLE t ADD b int",
            "CREATE FUNCTION t() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "ALTER TABLE t ADD b int",
            "CREATE VIEW b AS SELECT 1 AS n; DROP VIEW b",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "ALTER TABLE t ADD b int",
            "CREATE TYPE b AS (n int); DROP TYPE b",
            marks=pytest.mark.long,
        ),
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


BOTH = "ALTER TABLE t ADD b int; CREATE TABLE x (k int);"


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("by_hand", BOTH.split("; "), ids=["in part", "the rest"])
def test_what_a_block_makes_there_is_no_drift(
    empty: Database, project: Project, by_hand: str
) -> None:
    empty.load(by_hand)
    done = make(project, "009_second", BOTH)
    assert done.code == 0, done.text
    told = project.command("drift", "--target", "env:CRM_URL")
    assert told.code == 0, told.text


@pytest.mark.usefixtures("made")
def test_an_invalid_index_that_a_block_makes_anew_is_no_drift(
    empty: Database, project: Project
) -> None:
    unique = "CREATE UNIQUE INDEX {} t_z ON t (z)"
    empty.load(
        unique.format("") + "; UPDATE pg_index SET indisvalid = false "
        "WHERE indexrelid = 't_z'::regclass"
    )
    done = make(project, "009_second", unique.format("CONCURRENTLY"), "-- transaction: no\n")
    assert done.code == 0, done.text
    told = project.command("drift", "--target", "env:CRM_URL")
    assert told.code == 0, told.text
