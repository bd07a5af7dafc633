"""What a run looks at before its blocks: everything in a small database, and of a large one what
concerns it.
"""

from __future__ import annotations

import pytest
from support.databases import Database
from support.projects import Project

from pgrunbook.inventory.objects import Object
from pgrunbook.planning import ground
from pgrunbook.planning.ground import Ground
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

NAMED = [("", "mine"), ("elsewhere", "named")]


@pytest.fixture
def large(empty: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that counts as large, as PostgreSQL's own relations are more than a hundred."""
    empty.load(
        "CREATE TABLE mine (id int); CREATE TABLE other (id int); CREATE SCHEMA elsewhere;"
        "CREATE TABLE elsewhere.named (id int PRIMARY KEY); CREATE TABLE elsewhere.unnamed (id int)"
    )
    monkeypatch.setattr(ground, "_MANY_IN_ALL", 100)
    return empty


def seen(database: Database, *others: str, code: bool = False, behind: str = "") -> Ground:
    with connect(Target("test", database.url), schema="public") as conn:
        conn.behind = [behind] if behind else []
        return Ground.look(conn, "public", NAMED, code=code, others=others)


def covered(found: Ground) -> set[str]:
    tables = ("public.mine", "public.other", "public.gone", "elsewhere.named", "elsewhere.unnamed")
    return {name for name in tables if found.covers(Object("table", name), None)}


def test_of_a_large_database_the_schema_and_what_is_named_elsewhere(large: Database) -> None:
    found = seen(large)
    assert covered(found) == {"public.mine", "public.other", "public.gone", "elsewhere.named"}
    assert Object("table", "public.other") in found.seen
    assert Object("table", "elsewhere.unnamed") not in found.seen
    key = Object("table constraint", "named_pkey on elsewhere.named")
    assert key in found.seen
    assert found.covers(key, "elsewhere.named")


def test_of_a_large_database_the_schemas_that_the_ledger_knows(large: Database) -> None:
    found = seen(large, "elsewhere")
    assert len(covered(found)) == 5
    assert Object("table", "elsewhere.unnamed") in found.seen
    assert found.covers(Object("extension", "plpgsql"), None)
    assert not found.covers(Object("table", "third.any"), None)


def test_of_a_large_schema_what_is_named(large: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "_MANY", 1)
    assert covered(seen(large)) == {"public.mine", "elsewhere.named"}


def test_everything_where_a_block_runs_code(large: Database) -> None:
    assert len(covered(seen(large, code=True))) == 5


def test_what_is_named_is_looked_up_along_the_path(large: Database) -> None:
    large.load("ALTER TABLE mine SET SCHEMA elsewhere; CREATE TABLE elsewhere.other (id int)")
    mine = Object("table", "elsewhere.mine")
    assert mine not in seen(large).seen
    found = seen(large, behind="elsewhere")
    assert mine in found.seen
    assert mine in found.concerning([("", "mine")])
    assert found.covers(Object("table", "public.mine"), None)
    # the first that has it is meant
    assert Object("table", "public.other") in found.concerning([("", "other")])
    assert Object("table", "elsewhere.other") not in found.concerning([("", "other")])


# blocks with a search path of their own, and what their effects are
ELSEWHERE = {
    "010_parts": (
        "-- search_path: elsewhere",
        "ALTER TABLE t DROP b, ADD c int; COMMENT ON COLUMN t.a IS 'a'",
        {
            "table column elsewhere.t.a": (True, True),
            "table column elsewhere.t.b": (True, False),
            "table column elsewhere.t.c": (False, True),
        },
    ),
    "020_alone": (
        "-- search_path: elsewhere\n-- transaction: no",
        "CREATE INDEX CONCURRENTLY t_new ON t (a); COMMENT ON INDEX t_new IS 'new'",
        {"index elsewhere.t_new": (False, True)},
    ),
}


def test_a_header_says_where_a_block_of_a_large_database_works(
    empty: Database, project: Project
) -> None:
    """The command is another process: the database has to be empty."""
    more = "".join(f"CREATE TABLE of_others.t{n} ();" for n in range(ground._MANY_IN_ALL - 300))
    empty.load(
        f"CREATE SCHEMA of_others; {more} CREATE SCHEMA elsewhere;"
        "CREATE TABLE t (a int, b int); CREATE TABLE elsewhere.t (a int, b int);"
        "ANALYZE pg_class"
    )
    project.env["CRM_URL"] = empty.url
    folder = project.new("009_elsewhere")
    for name, (header, sql, _) in ELSEWHERE.items():
        text = f"-- title: T\n-- why: W\n{header}\n\n{sql};\n"
        (folder / "deploy" / f"{name}.sql").write_text(text)
    done = project.command("run", "009", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    effects = "SELECT block, effect FROM pgrunbook.blocks WHERE event = 'applied'"
    for block, effect in empty.execute(effects):
        found = {
            f"{kind} {name}": (was is not None, now is not None)
            for kind, name, was, now, _ in effect
        }
        assert found == ELSEWHERE[block][2]
    drift = project.command("drift", "--target", "env:CRM_URL")
    assert drift.code == 0, drift.text
