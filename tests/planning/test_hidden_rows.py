"""Rows that row security hides from a statement that changes them: nobody would be told that they
stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from support import databases
from support.databases import Database, Role

from pgrunbook.planning import hidden_rows
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres import catalog
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

HIDDEN = "row security may hide rows of t"


@pytest.fixture
def role(empty: Database) -> Iterator[Role]:
    """The owner of a table that hides rows from everybody."""
    role = databases.login_role(empty)
    empty.load(
        "CREATE TABLE t (id int, v int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        f"ALTER TABLE t FORCE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO {role.name}"
    )
    yield role
    empty.load(f"DROP OWNED BY {role.name}")


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE t SET v = 1"], [HIDDEN]),
        (["UPDATE public.t SET v = 1"], [HIDDEN]),
        (["DELETE FROM t WHERE id = 1"], [HIDDEN]),
        (["MERGE INTO t USING t AS o ON t.id = o.id WHEN MATCHED THEN DO NOTHING"], [HIDDEN]),
        (["WITH gone AS (DELETE FROM t RETURNING id) SELECT count(*) FROM gone"], [HIDDEN]),
        (["INSERT INTO t VALUES (1, 1)"], []),
        (["UPDATE elsewhere.t SET v = 1"], []),
        (["SET LOCAL row_security = on; UPDATE t SET v = 1", "DELETE FROM t"], [HIDDEN]),
        (["CREATE TEMP TABLE t (v int) ON COMMIT DROP; UPDATE t SET v = 1"], []),
        (["SET LOCAL search_path = elsewhere; UPDATE t SET v = 1"], []),
        (["SET LOCAL search_path = elsewhere; UPDATE public.t SET v = 1"], [HIDDEN]),
        (["ALTER TABLE t NO FORCE ROW LEVEL SECURITY", "UPDATE t SET v = 1"], []),
        (["CREATE FUNCTION f() RETURNS void BEGIN ATOMIC UPDATE t SET v = 1; END"], []),
        (["-- title: x\n-- why: x\n-- role: postgres\n\nUPDATE t SET v = 1"], []),
        (["SET LOCAL ROLE postgres; UPDATE t SET v = 1", "DELETE FROM t"], [HIDDEN]),
        (["SET LOCAL ROLE postgres; SET LOCAL ROLE none; UPDATE t SET v = 1"], [HIDDEN]),
        (["SET LOCAL search_path = elsewhere; UPDATE t SET v = 1", "DELETE FROM t"], [HIDDEN]),
        (["SET LOCAL search_path = public; UPDATE t SET v = 1"], [HIDDEN]),
        (["-- title: x\n-- why: x\n-- search_path: elsewhere, public\n\nUPDATE t SET v = 1"], []),
    ],
)
def test_what_is_said_of_a_statement(
    empty: Database, role: Role, tmp_path: Path, statements: Sequence[str], expected: Sequence[str]
) -> None:
    empty.load("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t (id int, v int)")
    (tmp_path / "deploy").mkdir()
    for number, sql in enumerate(statements):
        text = sql if sql.startswith("--") else f"-- title: x\n-- why: x\n\n{sql}"
        (tmp_path / "deploy" / f"{number:03}_x.sql").write_text(f"{text};\n")
    source = Source.read(tmp_path)
    blocks = [source.block(name, {}) for name in source.plain_blocks()]
    decisions = [
        Decision(block, Action.APPLY, "", statements=tuple(range(len(block.statements))))
        for block in blocks
    ]
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        results = [*hidden_rows.check(conn, decisions, role.name)]
    told = [each.problem.what for each in results if each.problem]
    assert [what.partition(" from ")[0] for what in told] == [*expected]


@pytest.mark.parametrize("bypasses", ["BYPASSRLS", "NOBYPASSRLS"])
@pytest.mark.parametrize("owner", ["the role", "postgres"])
@pytest.mark.parametrize("forced", ["FORCE", "NO FORCE"])
@pytest.mark.parametrize("enabled", ["ENABLE", "DISABLE"])
def test_it_is_what_the_server_says(
    empty: Database, role: Role, bypasses: str, owner: str, forced: str, enabled: str
) -> None:
    empty.load(
        f"ALTER ROLE {role.name} {bypasses}; ALTER TABLE t {enabled} ROW LEVEL SECURITY;"
        f"ALTER TABLE t {forced} ROW LEVEL SECURITY;"
        f"ALTER TABLE t OWNER TO {role.name if owner == 'the role' else owner}"
    )
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        about = {"schemas": ["public"], "tables": ["t"], "names": [role.name]}
        (row,) = catalog.rows(conn, "hides_rows", **about)
    with psycopg.connect(role.url) as conn:
        active = conn.execute("SELECT row_security_active('public.t')").fetchone()
    assert (row["hides"],) == active
