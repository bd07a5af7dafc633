"""Nothing of the target's is called by a superuser of the server that its schema is copied to: what a
superuser calls can do on this machine whatever its user can (COPY … TO PROGRAM).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support import databases
from support.databases import Database

from pgrunbook.errors import Refused
from pgrunbook.postgres import embedded, schema_copy, twin_server
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

# What a role may do that owns a schema and nothing else. The functions are harmless where it made them:
# they wait for a superuser, on a copy. `f` and `v` are called where their like is called while SQL is
# read, planned or run.
LESSER = """
CREATE FUNCTION {0}.harm() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
 IF current_database() LIKE 'pgrunbook%' AND EXISTS (SELECT FROM pg_roles WHERE rolsuper AND rolname IN (current_user, session_user))
 THEN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {1}'''; END IF; RETURN 1; END $$;
CREATE FUNCTION {0}.f(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM {0}.harm(); RETURN i; END $$;
CREATE FUNCTION {0}.cmp(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN {0}.f(0); END $$;
CREATE DOMAIN {0}.d AS int CHECK ({0}.f(VALUE) > 0);
"""
WAYS = {
    "a name of two lines": """CREATE SCHEMA "{0}
COPY (SELECT 1) TO PROGRAM 'touch {1}'; --"; CREATE TABLE "{0}
COPY (SELECT 1) TO PROGRAM 'touch {1}'; --".t ()""",
    "a generated column": "CREATE TABLE {0}.t (a int, g int GENERATED ALWAYS AS (a + {0}.f(1)) STORED)",
    "a column's default": "CREATE TABLE {0}.t (a int DEFAULT {0}.f(1))",
    "a key of partitions": "CREATE TABLE {0}.t (a int) PARTITION BY RANGE ((a + {0}.f(1)));"
    "CREATE TABLE {0}.p PARTITION OF {0}.t FOR VALUES FROM (1) TO (9); CREATE INDEX ON {0}.t (a)",
    "a partition that is attached": "CREATE TABLE {0}.t (a int) PARTITION BY RANGE (a);"
    "CREATE TABLE {0}.c (a int CHECK (a > {0}.f(1))); ALTER TABLE {0}.t ATTACH PARTITION {0}.c FOR VALUES FROM (1) TO (9)",
    "a bound of a partition": "CREATE TABLE {0}.t (a int) PARTITION BY RANGE (a);"
    "CREATE TABLE {0}.p PARTITION OF {0}.t FOR VALUES FROM ({0}.f(1)) TO (9)",
    "a CHECK": "CREATE TABLE {0}.t (a int, CHECK (a > {0}.f(1)))",
    "a CHECK of a domain in a default": "CREATE TABLE {0}.t (a {0}.d[] DEFAULT '{{1}}')",
    "a domain's default": "CREATE DOMAIN {0}.e AS {0}.d[] DEFAULT '{{1}}'; CREATE DOMAIN {0}.g AS int DEFAULT {0}.f(1);"
    "CREATE TABLE {0}.t (a {0}.e, b {0}.g)",
    "an argument's default": "CREATE FUNCTION {0}.g(a {0}.d[] DEFAULT '{{1}}') RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    "a body that is read at once": "CREATE FUNCTION {0}.g() RETURNS {0}.d[] LANGUAGE sql BEGIN ATOMIC SELECT '{{1}}'::{0}.d[]; END",
    "an aggregate's beginning": "CREATE FUNCTION {0}.g({0}.d[], int) RETURNS {0}.d[] LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';"
    "CREATE AGGREGATE {0}.a(int) (SFUNC = {0}.g, STYPE = {0}.d[], INITCOND = '{{1}}')",
    "an index": "CREATE TABLE {0}.t (a int); CREATE INDEX ON {0}.t (({0}.f(1) + a)) WHERE {0}.f(1) > 0",
    "statistics": "CREATE TABLE {0}.t (a int); CREATE STATISTICS {0}.s ON a, ({0}.f(1) + a) FROM {0}.t",
    "a materialized view": "CREATE MATERIALIZED VIEW {0}.m AS SELECT {0}.f(1)",
    "a view": "CREATE VIEW {0}.w AS SELECT '{{1}}'::{0}.d[], {0}.f(1)",
    "a rule": "CREATE TABLE {0}.t (a int); CREATE RULE r AS ON INSERT TO {0}.t DO ALSO SELECT '{{1}}'::{0}.d[]",
    "a policy": "CREATE TABLE {0}.t (a int); CREATE POLICY p ON {0}.t USING ('{{1}}'::{0}.d[] IS NOT NULL)",
    "a condition of a trigger": "CREATE TABLE {0}.t (a int); CREATE FUNCTION {0}.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER g AFTER INSERT ON {0}.t FOR EACH ROW WHEN ('{{1}}'::{0}.d[] IS NOT NULL) EXECUTE FUNCTION {0}.g()",
    "a foreign key": "CREATE TABLE {0}.t (a int PRIMARY KEY); CREATE TABLE {0}.u (a int DEFAULT {0}.f(1) REFERENCES {0}.t ON DELETE SET DEFAULT)",
}
# The same where a superuser of the target has made something of the role's functions.
BY_A_SUPERUSER = {
    "a validator": "CREATE FUNCTION {0}.v(text[], oid) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM {0}.harm(); END';"
    "CREATE FOREIGN DATA WRAPPER w VALIDATOR {0}.v OPTIONS (a 'b'); CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (c 'd')",
    "an operator class": "CREATE OPERATOR CLASS {0}.o FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,"
    " FUNCTION 1 {0}.cmp(int, int); CREATE TABLE {0}.t (a int); CREATE INDEX ON {0}.t (a {0}.o)",
    "a cast": "CREATE FUNCTION {0}.g(money) RETURNS point IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM {0}.f(1); RETURN NULL; END';"
    "CREATE CAST (money AS point) WITH FUNCTION {0}.g(money) AS IMPLICIT;"
    "CREATE TABLE {0}.t (a int, p point GENERATED ALWAYS AS ('1'::money::point) STORED)",
    "a function that leaks nothing": "CREATE FUNCTION {0}.g(a {0}.d[] DEFAULT '{{1}}') RETURNS int LEAKPROOF LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    "an event trigger": "CREATE SCHEMA g; CREATE FUNCTION g.g() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM {0}.harm(); END';"
    "CREATE EVENT TRIGGER g ON ddl_command_end EXECUTE FUNCTION g.g();"
    "CREATE EVENT TRIGGER h ON ddl_command_start EXECUTE FUNCTION g.g(); COMMENT ON EVENT TRIGGER h IS 'h'",
}
# Each calls what its role has made as soon as a superuser makes it.
NOT_COPIED = """\
CREATE FUNCTION lesser.g: only superuser can define a leakproof function
CREATE FOREIGN DATA WRAPPER w VALIDATOR lesser.v OPTIONS: permission denied to create foreign-data wrapper "w"
CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS: foreign-data wrapper "w" does not exist"""


@pytest.fixture
def harmed() -> Iterator[Path]:
    """A folder that whoever runs the servers may write to."""
    made = Path(tempfile.mkdtemp(prefix="pgrunbook-", dir="/tmp"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def lesser(empty: Database, harmed: Path) -> Database:
    """A database with all of that, each in a schema of its own."""
    role = databases.login_role(empty)
    empty.load(f"GRANT CREATE ON DATABASE {empty.name} TO {role.name}")
    for number, (way, ddl) in enumerate({**WAYS, **BY_A_SUPERUSER}.items()):
        schema = f"way{number}"
        empty.load(f"CREATE SCHEMA {schema} AUTHORIZATION {role.name}")
        file = harmed / way.replace(" ", "_").replace("'", "")
        with psycopg.connect(role.url, autocommit=True) as conn:
            conn.execute(LESSER.format(schema, file).encode())
            if way in WAYS:
                conn.execute(ddl.format(schema, file).encode())
        if way in BY_A_SUPERUSER:
            empty.load(ddl.format(schema, file))
    if empty.server.version >= 17:
        empty.load("CREATE EVENT TRIGGER i ON login EXECUTE FUNCTION g.g()")
    return empty


@pytest.fixture
def folder(place: Path) -> Iterator[Path]:
    """Where the servers for copies keep their data."""
    before = {*embedded._uses}
    yield place / "copies"
    for data in {*embedded._uses} - before:
        version = int(data.name.rpartition("-")[2])
        Server(version, data, embedded.PROGRAMS[version], data).stop()


def rehearsed(database: Database, folder: Path, conn: Session) -> list[str]:
    """Copy the schema as a rehearsal does; what could not be copied."""
    with schema_copy.copy_schema(Target("t", database.url), conn, folder, "x") as copy:
        with closing(psycopg.connect(copy.target.conninfo)) as there:
            assert not superuser(there)
        return list(copy.warnings)


def twin(database: Database, folder: Path, conn: Session) -> list[str]:
    """The same as a twin."""
    server = twin_server.embedded_server(folder, conn.info.server_version // 10_000)
    with twin_server.make_twin(Target("t", database.url), conn, server, "x") as made:
        for session in (made.session(), made.owner_session()):
            with closing(session):
                assert not superuser(session)
        return list(made.warnings)


def superuser(conn: Session) -> bool:
    asked = "SELECT bool_or(rolsuper) FROM pg_roles WHERE rolname IN (current_user, session_user)"
    row = conn.execute(asked).fetchone()
    return bool(row and row[0])


@pytest.mark.parametrize("copy", [rehearsed, twin])
def test_no_superuser_calls_what_a_lesser_role_has_made(
    lesser: Database,
    folder: Path,
    harmed: Path,
    copy: Callable[[Database, Path, Session], list[str]],
) -> None:
    with connect(Target("t", lesser.url), schema="public", read_only=True) as conn:
        warnings = copy(lesser, folder, conn)
    assert sorted(path.name for path in harmed.iterdir()) == []
    made = [each for each in warnings if not each.startswith("ALTER ")]  # of what was not made
    assert re.sub(r"way\d+", "lesser", "\n".join(made)) == NOT_COPIED


# What a schema holds that takes a superuser to make, and whose owner may do less than its maker.
PRIVILEGED = """
CREATE SCHEMA own; GRANT USAGE ON SCHEMA own TO {0}, {1};
CREATE TYPE own.base;
CREATE FUNCTION own.base_in(cstring) RETURNS own.base LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION own.base_out(own.base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE own.base (INPUT = own.base_in, OUTPUT = own.base_out, LIKE = int);
CREATE CAST (own.base AS int) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (varchar AS int) WITH INOUT AS IMPLICIT;
CREATE FUNCTION own.less(own.base, own.base) RETURNS bool LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT $1::int < $2::int';
CREATE FUNCTION own.cmp(own.base, own.base) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp($1::int, $2::int); END';
CREATE OPERATOR own.< (LEFTARG = own.base, RIGHTARG = own.base, FUNCTION = own.less);
CREATE OPERATOR CLASS own.ops DEFAULT FOR TYPE own.base USING btree AS OPERATOR 1 own.<, FUNCTION 1 own.cmp(own.base, own.base);
CREATE AGGREGATE own.total(own.base) (SFUNC = array_agg_transfn, STYPE = internal, FINALFUNC = array_agg_finalfn, FINALFUNC_EXTRA);
CREATE FUNCTION own.quiet() RETURNS int LANGUAGE sql SET log_min_messages = fatal AS 'SELECT 1';
CREATE TABLE own.t (a own.base PRIMARY KEY, b varchar DEFAULT '1', g int GENERATED ALWAYS AS (a::int) STORED);
CREATE VIEW own.w AS SELECT * FROM own.t;
CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far; CREATE FOREIGN TABLE own.there (a int) SERVER away;
CREATE FUNCTION own.of_row(own.t DEFAULT NULL) RETURNS own.base LANGUAGE sql AS 'SELECT $1.a';
ALTER TABLE own.t OWNER TO {0}; ALTER VIEW own.w OWNER TO {0}; ALTER SERVER away OWNER TO {0};
ALTER FUNCTION own.of_row OWNER TO {0}; ALTER FUNCTION own.less OWNER TO {0}; ALTER TYPE own.base OWNER TO {0};
GRANT SELECT ON own.t TO {1} WITH GRANT OPTION; SET ROLE {1}; GRANT SELECT ON own.t TO PUBLIC; RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA own GRANT SELECT ON TABLES TO {1};
REVOKE EXECUTE ON FUNCTION own.cmp FROM PUBLIC; REVOKE USAGE ON SCHEMA own FROM {0};
"""


def test_what_takes_a_superuser_is_copied_with_its_owners_and_privileges(
    empty: Database, folder: Path
) -> None:
    """pg_dump is the judge."""
    roles = [databases.login_role(empty).name for _ in range(2)]
    empty.load(f"GRANT CREATE ON SCHEMA public TO {roles[0]}; {PRIVILEGED.format(*roles)}")
    with connect(Target("t", empty.url), schema="public", read_only=True) as conn:
        server = twin_server.embedded_server(folder, conn.info.server_version // 10_000)
        with twin_server.make_twin(Target("t", empty.url), conn, server, "x") as made:
            # which only a superuser may own
            assert [each.partition(":")[0] for each in made.warnings] == [
                "ALTER FOREIGN DATA WRAPPER far OWNER TO postgres"
            ]
            copy = Database(server, str(conninfo_to_dict(made.conninfo)["dbname"]))
            copied = re.sub(
                "(?i)(owner(:| to)) database", r"\1 postgres", copy.dump("--schema-only")
            )
            assert copied == empty.dump("--schema-only")


# What opens files and connections of the machine that it is called on: made by a superuser.
REACHES = """
CREATE SCHEMA own; CREATE EXTENSION dblink SCHEMA own; CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE own.there (a text) SERVER files OPTIONS (program 'touch {}/program; echo');
CREATE TABLE own.t (a int);
CREATE FUNCTION own.reach() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
 PERFORM own.dblink_connect('{}'); RETURN NULL; END $$;
CREATE TRIGGER reach AFTER INSERT ON own.t FOR EACH STATEMENT EXECUTE FUNCTION own.reach();
"""


def test_nothing_on_a_twin_opens_files_or_connections(
    empty: Database, folder: Path, harmed: Path
) -> None:
    known = "SELECT FROM pg_available_extensions WHERE name IN ('dblink', 'file_fdw')"
    if len(empty.execute(known)) < 2:
        pytest.skip("NOT TESTED: this server has no dblink and no file_fdw. --pg 15")
    empty.load(REACHES.format(harmed, f"dbname={empty.name}"))
    with connect(Target("t", empty.url), schema="public", read_only=True) as conn:
        server = twin_server.embedded_server(folder, conn.info.server_version // 10_000)
        with twin_server.make_twin(Target("t", empty.url), conn, server, "x") as made:
            assert made.warnings == tuple(
                f"extension {name} is not on the twin" for name in ("dblink", "file_fdw")
            )
            with closing(made.session()) as there:
                assert there.execute("INSERT INTO own.t VALUES (1)").rowcount == 1
                with pytest.raises(psycopg.Error, match="file_fdw"):
                    there.execute("SELECT FROM own.there")
        assert "extension file_fdw is on no copy" in rehearsed(empty, folder, conn)
    assert [*harmed.iterdir()] == []


@pytest.fixture
def known(empty: Database, folder: Path) -> Iterator[Callable[[str, str], None]]:
    """`known(role, options)` makes a role that the target has, and the server for twins too."""
    server = twin_server.embedded_server(folder, empty.server.version)
    made: list[str] = []

    def make(role: str, options: str) -> None:
        Database(server, "postgres").execute(f"CREATE ROLE {role} {options}")
        made.append(role)

    yield make
    for role in made:
        Database(server, "postgres").execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("options", "may"),
    [
        ("SUPERUSER", "is a superuser"),
        ("CREATEROLE", "may create roles"),
        ("IN ROLE pg_write_server_files", "is a member of pg_write_server_files"),
        ("IN ROLE pgrunbook_twin", "is a member of pgrunbook_twin"),
        ("LOGIN", "is for {role}, who may log in"),
    ],
)
def test_a_role_that_may_do_more_on_the_server_for_twins_is_refused(
    empty: Database, folder: Path, known: Callable[[str, str], None], options: str, may: str
) -> None:
    """Whatever it owns runs as that role there, as SECURITY DEFINER functions do."""
    role = databases.login_role(empty).name
    known(role, options)
    with connect(Target("t", empty.url), schema="public", read_only=True) as conn:
        with pytest.raises(Refused) as refused:
            twin(empty, folder, conn)
        (problem,) = refused.value.problems
        assert problem.found == f"{role} {may.format(role=role)}"


def test_a_role_of_the_name_of_our_superuser_is_refused(empty: Database, folder: Path) -> None:
    empty.load("CREATE ROLE pgrunbook_twin")
    try:
        with (
            connect(Target("t", empty.url), schema="public", read_only=True) as conn,
            pytest.raises(Refused, match="pgrunbook_twin is a superuser"),
        ):
            twin(empty, folder, conn)
    finally:
        empty.load("DROP ROLE pgrunbook_twin")


def test_who_may_use_the_machine_of_the_target_may_not_use_ours(
    empty: Database, folder: Path
) -> None:
    """An extension's function, too: dblink_connect_u asks for no password, and nor does our server."""
    role = databases.login_role(empty).name
    functions = ["pg_catalog.pg_read_file(text)"]
    if empty.execute("SELECT FROM pg_available_extensions WHERE name = 'dblink'"):
        empty.load("CREATE EXTENSION dblink")
        functions.append("public.dblink_connect_u(text)")
    for function in functions:
        empty.load(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")
    with connect(Target("t", empty.url), schema="public", read_only=True) as conn:
        server = twin_server.embedded_server(folder, empty.server.version)
        with twin_server.make_twin(Target("t", empty.url), conn, server, "x") as made:
            copy = Database(server, str(conninfo_to_dict(made.conninfo)["dbname"]))
            for function in functions:
                # what stands in for an extension's function is of no such language
                asked = (
                    "SELECT has_function_privilege(%s, p.oid, 'EXECUTE')"
                    " AND lanname IN ('c', 'internal') FROM pg_proc AS p"
                    " JOIN pg_language AS l ON l.oid = prolang WHERE p.oid = %s::regprocedure"
                )
                assert empty.execute(asked, [role, function]) == [(True,)]
                for other in (role, copy.name):  # who owns the copy has made the extension
                    assert copy.execute(asked, [other, function]) == [(False,)]


def test_the_target_s_own_server_is_none_for_twins(empty: Database) -> None:
    server = twin_server.own_server(empty.conninfo, empty.server.version)
    with (
        connect(Target("t", empty.url), schema="public", read_only=True) as conn,
        pytest.raises(Refused, match="the target's own"),
        twin_server.make_twin(Target("t", empty.url), conn, server, "x"),
    ):
        pass


def test_roles_are_gone_with_the_last_copy_that_needs_them(empty: Database, folder: Path) -> None:
    role = databases.login_role(empty).name
    server = twin_server.embedded_server(folder, empty.server.version)
    twins = Database(server, "postgres")
    asked = f"SELECT FROM pg_roles WHERE rolname = '{role}'"
    with connect(Target("t", empty.url), schema="public", read_only=True) as conn:
        with twin_server.make_twin(Target("t", empty.url), conn, server, "y"):
            twin(empty, folder, conn)
            assert twins.execute(asked) == [()]
        assert twins.execute(asked) == []


def test_a_server_that_asks_for_passwords_shows_them_to_nobody(
    empty: Database, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All users of the machine can read the command line of pg_restore."""
    host = twin_server.embedded_server(place / "asking", empty.server.version)
    with Database(host, "postgres").connect() as own:
        own.execute("ALTER ROLE pgrunbook_twin PASSWORD 'never-shown'")
        (host.data / "pg_hba.conf").write_text("local all all scram-sha-256")
        own.execute("SELECT pg_reload_conf()")
    commands, run = list[str](), subprocess.Popen

    def spied(command: Any, **options: Any) -> Any:
        commands.append(" ".join(map(str, command)))
        return run(command, **options)

    monkeypatch.setattr(subprocess, "Popen", spied)
    empty.load("CREATE TABLE t (a int)")
    asked = make_conninfo(host.conninfo(), password="never-shown")
    server = twin_server.own_server(asked, empty.server.version)
    with (
        connect(Target("t", empty.url), schema="public", read_only=True) as conn,
        twin_server.make_twin(Target("t", empty.url), conn, server, "x") as made,
    ):
        assert [*made.warnings] == []
        with closing(made.session()) as there:
            assert there.execute("SELECT FROM public.t").fetchall() == []
    assert [text for text in commands if "pg_restore" in text]
    assert not [text for text in commands if "never-shown" in text or "password" in text]
    host.stop()
