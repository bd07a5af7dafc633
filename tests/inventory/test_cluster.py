"""What belongs to the cluster: whatever makes `pg_dumpall` differ makes the inventory differ, and
the other way round.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence

import pytest
from support import databases
from support.databases import Database

from pgrunbook.applying.effects import read_effect
from pgrunbook.inventory.changes import read_changes
from pgrunbook.inventory.objects import Inventory, Object, differences
from pgrunbook.inventory.read import read
from pgrunbook.planning.ground import Ground
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.newest

BASE = """
CREATE ROLE carol;
CREATE ROLE dave LOGIN PASSWORD 'secret';
GRANT carol TO dave;
COMMENT ON ROLE dave IS 'the guest';
ALTER ROLE dave SET work_mem = '7MB';
ALTER DATABASE this SET search_path = app;
COMMENT ON DATABASE this IS 'the one';
"""

# As in changes.py (`>`: a difference for us alone); `this` is the database.
CHANGES = """
= SELECT 1
= ALTER ROLE dave PASSWORD 'another'
CREATE ROLE erin
= CREATE ROLE erin; DROP ROLE erin
ALTER ROLE carol CREATEDB CREATEROLE
ALTER ROLE carol NOINHERIT
ALTER ROLE carol SUPERUSER
ALTER ROLE carol BYPASSRLS REPLICATION
ALTER ROLE dave NOLOGIN
ALTER ROLE dave CONNECTION LIMIT 5
ALTER ROLE dave VALID UNTIL '2030-01-01 00:00+00'
ALTER ROLE carol RENAME TO caroline
DROP ROLE dave
COMMENT ON ROLE dave IS NULL
COMMENT ON ROLE carol IS 'the host'
GRANT dave TO postgres
GRANT pg_read_all_data TO dave
GRANT carol TO dave WITH ADMIN OPTION
16 GRANT carol TO dave WITH INHERIT FALSE
16 GRANT carol TO postgres WITH ADMIN OPTION; GRANT carol TO dave GRANTED BY postgres; GRANT pg_monitor TO carol
REVOKE carol FROM dave
= REVOKE carol FROM dave; GRANT carol TO dave
ALTER ROLE dave SET work_mem = '8MB'
ALTER ROLE dave SET "app.more" = 'a,b'
ALTER ROLE dave IN DATABASE this SET work_mem = '8MB'
ALTER ROLE dave RESET ALL
> ALTER ROLE ALL SET work_mem = '8MB'
ALTER DATABASE this SET search_path = other
ALTER DATABASE this RESET search_path
ALTER DATABASE this CONNECTION LIMIT 5
ALTER DATABASE this OWNER TO carol
GRANT CREATE ON DATABASE this TO dave
REVOKE CONNECT ON DATABASE this FROM public
COMMENT ON DATABASE this IS 'another'
COMMENT ON DATABASE this IS NULL
GRANT SET ON PARAMETER work_mem TO dave
GRANT ALTER SYSTEM ON PARAMETER work_mem TO dave WITH GRANT OPTION
"""
ROLES = ("carol", "caroline", "dave", "erin")


def dumped(database: Database) -> str:
    """The cluster's roles, and the database itself without what is in it."""
    program = database.server.bin / "pg_dumpall"
    command = [program, "--roles-only", "--no-role-passwords", "-d", database.conninfo]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    roles = re.sub(r"^\\(un)?restrict .*\n", "", done.stdout, flags=re.MULTILINE)
    return roles + database.dump("--create", "--schema-only")


def looked_at(database: Database) -> tuple[str, Inventory]:
    with database.connect() as conn:
        return dumped(database), read(conn)


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as made:
        run(made, BASE)
        try:
            yield made
        finally:
            made.execute("ALTER ROLE ALL RESET ALL")
            found = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
            for (role,) in made.execute(found, [[*ROLES]]):
                made.load(f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}")
            for (role,) in made.execute(found, [[*ROLES]]):
                made.load(f"DROP ROLE {role}")


def run(database: Database, sql: str) -> None:
    for statement in statements(database, sql):
        database.execute(statement)


def statements(database: Database, sql: str) -> list[str]:
    named = re.sub(r"\bthis\b", f'"{database.name}"', sql)
    return [*filter(None, map(str.strip, named.split(";")))]


@pytest.mark.parametrize("change", CHANGES.strip().splitlines(), ids=lambda change: change[:60])
def test_what_differs_for_pg_dumpall_differs_here(database: Database, change: str) -> None:
    version, sign, sql = re.fullmatch(r"(1\d )?(?:([=>]) )?(.*)", change).groups()  # type: ignore[union-attr]
    if database.server.version < int(version or 15):
        pytest.skip(f"from version {version} on")
    dump, before = looked_at(database)
    run(database, sql)
    changed_dump, after = looked_at(database)
    assert (changed_dump != dump) == (sign is None), "pg_dumpall says otherwise"
    assert bool(differences(before, after)) == (sign != "=")


@pytest.mark.parametrize("change", CHANGES.strip().splitlines(), ids=lambda change: change[:60])
def test_nothing_of_it_escapes_an_effect(database: Database, change: str) -> None:
    version, sql = re.fullmatch(r"(1\d )?(?:[=>] )?(.*)", change).groups()  # type: ignore[union-attr]
    if database.server.version < int(version or 15):
        pytest.skip(f"from version {version} on")
    with connect(Target("test", database.url), schema="public") as conn:
        assert_in_effect(conn, statements(database, sql))


def test_of_two_grants_one_is_revoked(database: Database) -> None:
    if database.server.version < 16:
        pytest.skip("one grant of a role to another hides the one before, before version 16")
    run(database, "CREATE ROLE erin; GRANT carol TO erin WITH ADMIN OPTION")
    run(database, "GRANT carol TO dave GRANTED BY erin")
    with connect(Target("test", database.url), schema="public") as conn:
        assert_in_effect(conn, ["REVOKE carol FROM dave GRANTED BY erin"])


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE ROLE erin; GRANT erin TO frank; COMMENT ON ROLE erin IS 'new'",
        "ALTER ROLE frank NOINHERIT CONNECTION LIMIT 3",
        "ALTER ROLE frank SET work_mem = '9MB'; ALTER ROLE frank RENAME TO erin",
        "DROP ROLE frank",
    ],
)
def test_nothing_escapes_where_the_role_cannot_read_pg_authid(database: Database, sql: str) -> None:
    lesser = databases.login_role(database)
    database.execute(f"ALTER ROLE {lesser.name} CREATEROLE")
    lesser.load("CREATE ROLE frank")
    with connect(Target("test", lesser.url), schema="public") as conn:
        assert_in_effect(conn, statements(database, sql))
        conn.execute("DROP ROLE frank")


def assert_in_effect(conn: Session, sql: Sequence[str]) -> None:
    """The effect of the statements is what two looks at everything differ by."""
    ground, before = Ground.look(conn, "public", (), code=True), read(conn)
    conn.execute("BEGIN")
    for statement in sql:
        conn.execute(statement.encode())
    effect = read_effect(conn, read_changes(conn), ground, {}, {})
    after = read(conn)
    conn.execute("ROLLBACK")
    assert effect.differences == differences(before, after)


def test_no_password_is_read(database: Database) -> None:
    with database.connect() as conn:
        found = read(conn)
    assert found[Object("role", "dave")].properties == {"login": True, "comment": "the guest"}
    assert "secret" not in str(found)


def test_a_setting_that_may_be_a_secret_is_masked(database: Database) -> None:
    run(database, "ALTER DATABASE this SET \"app.jwt_secret\" = 'Tr0ub4dor'")
    with database.connect() as conn:
        found = read(conn)
    settings = found[Object("settings", "of all roles in database current_database()")]
    assert "app.jwt_secret" in settings.properties
    assert "Tr0ub4dor" not in str(found)
