"""The roles that blocks name are there before anything is changed, or a block makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support import databases
from support.databases import Database

from pgrunbook.planning import roles
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

ABSENT = "000_x.sql:4: nobody_here is no role of this server"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["SET LOCAL ROLE nobody_here"], [ABSENT]),
        (["ALTER TABLE t OWNER TO nobody_here"], [ABSENT]),
        (
            ["GRANT SELECT ON t TO nobody_here, nobody_there"],
            [ABSENT, ABSENT.replace("here", "there")],
        ),
        (["GRANT nobody_here TO postgres"], [ABSENT]),
        (["CREATE POLICY p ON t TO nobody_here USING (true)"], [ABSENT]),
        (["CREATE SCHEMA s AUTHORIZATION nobody_here"], [ABSENT]),
        (
            ["ALTER DEFAULT PRIVILEGES FOR ROLE nobody_here GRANT SELECT ON TABLES TO public"],
            [ABSENT],
        ),
        (["CREATE ROLE new_here IN ROLE nobody_here"], [ABSENT]),
        (["DROP ROLE nobody_here"], [ABSENT]),
        (["DROP ROLE IF EXISTS nobody_here"], []),
        (["SET LOCAL ROLE none", "GRANT SELECT ON t TO public, current_user, pg_monitor"], []),
        (["CREATE ROLE nobody_here", "GRANT SELECT ON t TO nobody_here"], []),
        (["ALTER ROLE postgres RENAME TO nobody_here", "SET LOCAL ROLE nobody_here"], []),
        (["GRANT SELECT ON t TO nobody_here", "CREATE ROLE nobody_here"], [ABSENT]),
        (
            ["SELECT make_roles()", "GRANT SELECT ON t TO nobody_here"],
            ["nobody_here is no role of this server: block 000_x, which is before it, may change"],
        ),
    ],
)
def test_what_is_said_of_a_role(
    empty: Database, tmp_path: Path, statements: Sequence[str], expected: Sequence[str]
) -> None:
    (tmp_path / "deploy").mkdir()
    for number, sql in enumerate(statements):
        text = f"-- title: x\n-- why: x\n\n{sql};\n"
        (tmp_path / "deploy" / f"{number:03}_x.sql").write_text(text)
    source = Source.read(tmp_path)
    blocks = [source.block(name, {}) for name in source.plain_blocks()]
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        results = [*roles.look(conn, blocks).check("postgres")]
    said = []
    for each in results:
        if each.problem:
            said.append(f"{each.problem.where}: {each.problem.what}".removeprefix("deploy/"))
        elif each.not_run:
            said.append(each.not_run)
    assert [one[: len(start)] for one, start in zip(said, expected, strict=True)] == [*expected]


@pytest.mark.parametrize("header", ["-- role: pg_monitor\n\n", "SET LOCAL ROLE pg_monitor;\n"])
@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ("ANALYZE", True),
        ("GRANT pg_monitor TO CURRENT_USER", False),
        ("REVOKE pg_monitor FROM CURRENT_USER", True),
    ],
)
def test_a_block_before_may_let_the_run_become_a_role(
    empty: Database, tmp_path: Path, header: str, before: str, refused: bool
) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "000_x.sql").write_text(f"{before};\n")
    (tmp_path / "deploy" / "001_x.sql").write_text(f"{header}SELECT 1;\n")
    source = Source.read(tmp_path)
    blocks = [source.block(name, {}) for name in source.plain_blocks()]
    role = databases.login_role(empty)
    with connect(Target("test", role.url), schema="public", read_only=True) as conn:
        results = [*roles.look(conn, blocks).check(role.name)]
    assert any(each.result != "ok" for each in results) is refused


def test_who_has_logged_in_decides_what_the_session_may_become(
    empty: Database, tmp_path: Path
) -> None:
    """A database may have its sessions begin as another role."""
    login, owner = databases.login_role(empty), databases.login_role(empty)
    empty.load(
        f"GRANT {owner.name}, pg_monitor TO {login.name}; ALTER ROLE {login.name} SET role = {owner.name}"
    )
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "000_x.sql").write_text("-- role: pg_monitor\n\nSELECT 1;\n")
    blocks = [Source.read(tmp_path).block("000_x", {})]
    with connect(Target("test", login.url), schema="public", read_only=True) as conn:
        assert conn.execute("SELECT current_user").fetchone() == (owner.name,)
        (result,) = roles.look(conn, blocks).check(owner.name)
    assert result.result == "ok", result.problem
