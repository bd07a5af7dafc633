"""Functions of lesser roles in what constrains a column: they are named, and never run with our
rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import sql
from support import databases
from support.databases import Database, Role
from support.projects import Outcome

from pgrunbook.admit import admission
from pgrunbook.admit.admission import Admission
from pgrunbook.postgres.embedded import Server

MADE = "CREATE SCHEMA app; GRANT CREATE, USAGE ON SCHEMA app TO PUBLIC"
# A warning gets through, whatever becomes of the transaction.
TELL = """
SET search_path = app;
CREATE FUNCTION tell() RETURNS boolean LANGUAGE plpgsql AS
  $$BEGIN RAISE WARNING 'told %', current_user; RETURN true; END$$;
CREATE FUNCTION tell(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT app.tell()';
"""

# What may hold a call of the function, and where it is found.
HOLDERS = {
    "a CHECK": ("CREATE TABLE t (c text CHECK (c = 'a' AND tell(c)))", "table constraint"),
    "a CHECK that rejects nothing": (
        "CREATE TABLE t (c text CHECK (c <> 'z' AND tell(c)))",
        "table constraint",
    ),
    "a default": (
        "CREATE TABLE t (c text, d boolean DEFAULT tell('d'), CHECK (c = 'a' OR d))",
        "default value",
    ),
    "a domain": (
        "CREATE DOMAIN d AS text CHECK (VALUE = 'a' AND tell(VALUE)); CREATE TABLE t (c d)",
        "domain constraint",
    ),
    "a domain under a domain": (
        "CREATE DOMAIN d AS text CHECK (tell(VALUE)); CREATE DOMAIN e AS d; CREATE TABLE t (c e)",
        "domain constraint",
    ),
    "a domain in a composite type": (
        "CREATE DOMAIN d AS text CHECK (tell(VALUE)); CREATE TYPE k AS (a d);CREATE TABLE t (c k)",
        "domain constraint",
    ),
    "a domain in another column of a whole row": (
        "CREATE DOMAIN d AS text CHECK (tell(VALUE)); CREATE TABLE t (c text, o d);"
        "ALTER TABLE t ADD CHECK (t.* IS NOT NULL AND c = 'a')",
        "domain constraint",
    ),
    "a domain in an expression": (
        "CREATE DOMAIN d AS text CHECK (tell(VALUE)); CREATE TABLE t (c text CHECK (c::d = 'a'))",
        "domain constraint",
    ),
    "an operator": (
        "CREATE FUNCTION eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT app.tell()';"
        "CREATE OPERATOR === (FUNCTION = eq, LEFTARG = text, RIGHTARG = text);"
        "CREATE TABLE t (c text CHECK (c === 'a'))",
        "table constraint",
    ),
    "a cast": (
        "CREATE TYPE k AS (a text);"
        "CREATE FUNCTION shown(k) RETURNS text LANGUAGE sql AS $$SELECT app.tell()::text$$;"
        "CREATE CAST (k AS text) WITH FUNCTION shown; CREATE TABLE t (c k)",
        "type",
    ),
    "a partition key": (
        "CREATE TABLE t (c text) PARTITION BY LIST (tell(c));"
        "CREATE TABLE p PARTITION OF t FOR VALUES IN (false)",
        "table",
    ),
    "a lookup table": (
        "CREATE TABLE l (c text PRIMARY KEY CHECK (tell(c)));CREATE TABLE t (c text REFERENCES l)",
        "table constraint",
    ),
    "SQL as text": (
        "CREATE TABLE t (c text CHECK (c = 'a' OR query_to_xml('SELECT app.tell()', true, true, '')"
        " IS NULL))",
        "table constraint",
    ),
    "SQL as text, by an operator": (
        "CREATE OPERATOR === (FUNCTION = ts_rewrite, LEFTARG = tsquery, RIGHTARG = text);"
        "CREATE TABLE t (c text CHECK (c = 'a' OR 'a'::tsquery === 'SELECT ''a''::tsquery, "
        "''b''::tsquery WHERE app.tell()' = 'b'))",
        "table constraint",
    ),
}


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """With a schema in which everybody may make what they like."""
    with databases.temporary(server) as made:
        made.load(MADE)
        yield made


@pytest.fixture
def lesser(database: Database) -> Role:
    """A role that nobody has vouched for; it has a function that tells who runs it."""
    role = databases.login_role(database)
    role.load(TELL)
    return role


def make(role: Role, statements: str) -> None:
    role.load(f"SET search_path = app; {statements}")


def looked_at(url: str) -> tuple[Admission, list[str]]:
    """What is found of the column, and who the function was run by."""
    with databases.hearing(url, "app") as (conn, told):
        found = admission.inspect(conn, "app", "t", "c", "b")
    return found, [each for each in told if each.startswith("told ")]


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_a_lesser_role_has_made_is_not_run_but_named(
    database: Database, lesser: Role, holder: str
) -> None:
    statements, where = HOLDERS[holder]
    make(lesser, statements)
    found, told = looked_at(database.url)
    assert told == []
    assert not found.accepts
    assert found.problems
    for problem in found.problems:
        assert where in problem.found
        assert lesser.name in problem.found
        assert f'GRANT "{lesser.name}" TO "postgres"' in problem.remedy


@pytest.mark.parametrize("holder", [each for each in HOLDERS if not each.startswith("SQL")])
def test_the_remedies_mend_it(database: Database, lesser: Role, holder: str) -> None:
    make(lesser, HOLDERS[holder][0])
    while problems := looked_at(database.url)[0].problems:
        alter = {p.remedy.partition("after reading it: ")[2] for p in problems} - {""}
        if not alter:
            break
        for statement in alter:
            database.load(statement)
    assert not any("with our rights" in problem.what for problem in problems)


def test_whoever_has_the_functions_runs_them(database: Database, lesser: Role) -> None:
    """The owner of the table, and a role that a superuser has made its member."""
    make(lesser, HOLDERS["a CHECK"][0])
    member = databases.login_role(database)
    database.load(f"GRANT {lesser.name} TO {member.name}")
    for role in (lesser, member):
        found, told = looked_at(role.url)
        assert not found.problems
        assert found.obstacles
        assert {*told} == {f"told {role.name}"}


def test_functions_of_superusers_are_called(database: Database, lesser: Role) -> None:
    database.load(
        "CREATE FUNCTION app.fine(text) RETURNS boolean LANGUAGE sql AS $$SELECT $1='a'$$"
    )
    make(lesser, "CREATE TABLE t (id serial, c text CHECK (fine(c) AND id IS NOT NULL))")
    found, told = looked_at(database.url)
    assert not found.problems
    assert [obstacle.variant for obstacle in found.obstacles] == ["check"]
    assert told == []


def test_one_that_nothing_of_the_column_calls_is_not_in_the_way(
    database: Database, lesser: Role
) -> None:
    make(
        lesser,
        "CREATE TABLE t (c text CHECK (c = 'a'), d text DEFAULT tell()::text CHECK (tell(d)))",
    )
    found, told = looked_at(database.url)
    assert not found.problems
    assert told == []


def test_a_better_match_for_a_name_is_seen(database: Database, lesser: Role) -> None:
    """Where an enum lacks the value, its CHECK is tried on a text: another function may take it."""
    database.load("""
        CREATE TYPE app.k AS ENUM ('a');
        CREATE FUNCTION app.fine(app.k) RETURNS boolean LANGUAGE sql AS $$SELECT $1 = 'a'$$;
        CREATE TABLE app.t (c app.k CHECK (app.fine(c)))""")
    make(lesser, "CREATE FUNCTION fine(text) RETURNS boolean LANGUAGE sql AS 'SELECT app.tell()'")
    found, told = looked_at(database.url)
    assert told == []
    assert "app.fine(text)" in found.problems[0].found


def test_a_policy_of_a_lookup_table_is_not_run(database: Database, lesser: Role) -> None:
    make(
        lesser,
        "CREATE TABLE l (c text PRIMARY KEY); CREATE TABLE t (c text REFERENCES l);"
        "INSERT INTO l VALUES ('b'); CREATE POLICY p ON l USING (tell(c));"
        "ALTER TABLE l ENABLE ROW LEVEL SECURITY; GRANT SELECT ON l, t TO PUBLIC",
    )
    other = databases.login_role(database)
    found, told = looked_at(other.url)
    assert told == []
    assert "policy p on app.l" in found.problems[0].found
    found, told = looked_at(database.url)  # to a superuser policies do not apply
    assert found.accepts


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_a_run_is_refused(crm: Database, run: Callable[..., Outcome], mode: str) -> None:
    role = databases.login_role(crm)
    crm.load(
        f"GRANT CREATE, USAGE ON SCHEMA public TO {role.name}; ALTER TABLE deals OWNER TO {role.name}"
    )
    role.load("""CREATE FUNCTION public.mine(text) RETURNS boolean LANGUAGE plpgsql AS
               $$BEGIN RAISE WARNING 'told %', current_user; RETURN true; END$$;
               ALTER TABLE deals ADD CONSTRAINT of_mine CHECK (mine(source))""")
    done = run(crm, "--mode", mode)
    assert done.code == 2, done.text
    for word in ("table constraint of_mine on public.deals", "public.mine(text)", role.name):
        assert word in done.text, done.text
    grant = sql.SQL("GRANT {} TO").format(sql.Identifier(role.name)).as_string()
    assert grant in done.text
    assert "told " not in done.text
