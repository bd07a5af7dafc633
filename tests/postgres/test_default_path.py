"""In which schemas names are looked up behind the run's own: those of psql's path, but for any in
which a role with fewer rights has a hand.
"""

from __future__ import annotations

import pytest
from support import databases
from support.databases import Database

from pgrunbook.postgres import default_path, search_path
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.default_path import DefaultPath
from pgrunbook.postgres.target import Target

MADE = """
CREATE SCHEMA app; CREATE SCHEMA more; CREATE SCHEMA "Odd one"; CREATE SCHEMA postgres;
CREATE FUNCTION more.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE TYPE more.mood AS ENUM ('sad');
CREATE TABLE more.t (id serial PRIMARY KEY, mood more.mood);
CREATE VIEW more.v AS TABLE more.t;
"""


def find(database: Database, url: str = "") -> DefaultPath:
    with connect(Target("test", url or database.url), schema="app", read_only=True) as conn:
        return default_path.find(conn)


def behind(database: Database, url: str = "") -> list[str]:
    return [*find(database, url).behind]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("''", []),
        ("app", []),
        ("app, more", ["more"]),
        ("more, app, public, more", ["more", "public"]),
        ('"$user", public, more', ["postgres", "public", "more"]),
        ('"Odd one", more', ["Odd one", "more"]),
        ("more, pg_catalog, pg_temp, app", ["more"]),
        ("more, not_yet", ["more", "not_yet"]),
    ],
)
@pytest.mark.parametrize("server", [16, 18], indirect=True)
def test_the_schemas_of_the_databases_own_path(
    empty: Database, path: str, expected: list[str]
) -> None:
    empty.load(MADE)
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = {path}")
    assert behind(empty) == expected
    with empty.connect() as psql:
        ((seen,),) = psql.execute("SELECT current_schemas(false)::text[]").fetchall()
    assert [each for each in expected if each != "not_yet"] == [
        each for each in seen if each not in ("app", "pg_catalog")
    ]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_where_nobody_has_set_one_there_is_none(empty: Database) -> None:
    empty.load(MADE)
    assert find(empty) == DefaultPath()
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = DEFAULT")
    assert find(empty) == DefaultPath()
    empty.execute(f'ALTER DATABASE {empty.name} SET search_path = "$user", public')
    assert find(empty) == DefaultPath()


@pytest.mark.parametrize("server", [18], indirect=True)
def test_whoever_has_set_the_path(empty: Database) -> None:
    role = databases.login_role(empty)
    empty.load(MADE)
    empty.load(f"GRANT USAGE ON SCHEMA app, more TO {role.name}")
    assert find(empty, role.url) == DefaultPath()
    with_options = f"{role.url}&options=-csearch_path%3Dapp%2Cmore%2C%24user"
    found = find(empty, with_options)
    assert found == DefaultPath(("more",), "the server")  # it has no schema of its own name
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = more")
    assert find(empty, role.url) == DefaultPath(("more",), f"the database {empty.name}")
    empty.execute(f"ALTER ROLE {role.name} SET search_path = public")
    assert find(empty, role.url) == DefaultPath(("public",), f"the role {role.name}")
    where = f"the role {role.name} in the database {empty.name}"
    empty.execute(f"ALTER ROLE {role.name} IN DATABASE {empty.name} SET search_path = app")
    assert find(empty, role.url) == DefaultPath((), where)
    assert behind(empty) == ["more"]


HANDS = [
    ("ALTER SCHEMA more OWNER TO ROLE", "ROLE owns it"),
    ("GRANT CREATE ON SCHEMA more TO ROLE", "ROLE may create objects in it"),
    ("GRANT ALL ON SCHEMA more TO PUBLIC", "PUBLIC may create objects in it"),
    ("ALTER FUNCTION more.f(int) OWNER TO ROLE", "ROLE owns function more.f(integer)"),
    ("ALTER TYPE more.mood OWNER TO ROLE", "ROLE owns type more.mood"),
    ("ALTER TABLE more.t OWNER TO ROLE", "ROLE owns table more.t"),
    ("ALTER VIEW more.v OWNER TO ROLE", "ROLE owns view more.v"),
    (
        "CREATE OPERATOR more.@+ (FUNCTION = more.f, RIGHTARG = int);"
        "ALTER OPERATOR more.@+ (NONE, int) OWNER TO ROLE",
        "ROLE owns operator more.@+(NONE,integer)",
    ),
    (
        'CREATE COLLATION more.c FROM "C"; ALTER COLLATION more.c OWNER TO ROLE',
        "ROLE owns collation more.c",
    ),
]


@pytest.mark.parametrize("server", [16, 18], indirect=True)
@pytest.mark.parametrize(("sql", "why"), HANDS)
def test_a_schema_in_lesser_hands_is_left_out_until_it_is_mended(
    empty: Database, sql: str, why: str
) -> None:
    role = databases.login_role(empty)
    empty.load(MADE)
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = app, more, public")
    empty.load(sql.replace("ROLE", role.name))
    found = find(empty)
    assert found.behind == ("public",)
    (left_out,) = found.left_out
    assert (left_out.schema, left_out.why) == ("more", why.replace("ROLE", role.name))
    empty.load(left_out.remedy)
    assert find(empty) == DefaultPath(("more", "public"), f"the database {empty.name}")


@pytest.mark.parametrize("server", [16, 18], indirect=True)
def test_hands_that_may_do_as_much_as_ours(empty: Database) -> None:
    role = databases.login_role(empty)
    empty.load(MADE)
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = app, more, role_of")
    empty.load(f"ALTER SCHEMA more OWNER TO {role.name}; GRANT CREATE ON SCHEMA public TO PUBLIC")
    assert behind(empty) == ["role_of"]
    empty.execute(f"ALTER DATABASE {empty.name} OWNER TO {role.name}")
    assert behind(empty) == ["more", "role_of"]


@pytest.mark.parametrize("server", [16, 18], indirect=True)
def test_a_role_that_nobody_may_become_makes_nothing(empty: Database) -> None:
    """As `dashboard_user`, which may create in Supabase's schema `extensions`."""
    role = databases.login_role(empty)
    nobody = f"nobody_{role.name}"
    empty.load(MADE)
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = app, more")
    empty.execute(f"CREATE ROLE {nobody} CREATEROLE")
    try:
        empty.load(f"GRANT CREATE ON SCHEMA more TO {nobody}")
        if empty.server.version >= 16:
            assert behind(empty) == ["more"]
            empty.load(f"ALTER TYPE more.mood OWNER TO {nobody}")
            assert behind(empty) == []
            empty.load(
                f"ALTER TYPE more.mood OWNER TO postgres; ALTER SCHEMA more OWNER TO {nobody}"
            )
            assert behind(empty) == ["more"]
        empty.load(f"GRANT {nobody} TO {role.name}")
        assert behind(empty) == []
        empty.load(f"REVOKE {nobody} FROM {role.name}; ALTER ROLE {role.name} CREATEROLE")
        assert behind(empty) == ([] if empty.server.version < 16 else ["more"])
    finally:
        empty.load(f"DROP OWNED BY {nobody} CASCADE; DROP ROLE {nobody}; DROP ROLE {role.name}")


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_schema_that_somebody_else_may_make_is_left_out(empty: Database) -> None:
    role = databases.login_role(empty)
    empty.execute(f"ALTER DATABASE {empty.name} SET search_path = app, not_yet")
    assert behind(empty) == ["not_yet"]
    empty.execute(f"GRANT CREATE ON DATABASE {empty.name} TO {role.name}")
    assert find(empty) == DefaultPath((), f"the database {empty.name}")  # nobody is to wonder


@pytest.mark.parametrize("server", [18], indirect=True)
def test_it_is_a_path_that_set_takes(empty: Database) -> None:
    odd = ['Odd"one', "b, c", "d'e"]
    for schema in odd:
        empty.execute("CREATE SCHEMA " + '"{}"'.format(schema.replace('"', '""')))
    with connect(Target("test", empty.url), schema="app", read_only=True) as conn:
        conn.behind = odd
        assert search_path.schemas(conn, search_path.of(conn)) == odd
