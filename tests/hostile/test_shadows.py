"""What a role with nothing but CREATE on the schema makes to be taken for pg_catalog's: our queries
never call it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from itertools import product

import psycopg
import pytest
from psycopg.rows import dict_row
from support import databases
from support.databases import Database, Role
from support.projects import RUNBOOK, Outcome, Project

from pgrunbook.admit import admission
from pgrunbook.ledger import install
from pgrunbook.postgres import catalog, search_path, trust
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target

QUERIES = sorted(
    path.name.removesuffix(".sql") for path in (files("pgrunbook") / "sql" / "catalog").iterdir()
)
PRINTING = [name for name in QUERIES if "printed_for" in catalog.query(name)]
OPERATORS = (
    "=",
    "<>",
    "<",
    ">",
    ">=",
    "||",
    "@>",
    "->",
    "->>",
    "~~",
    "!~",
    "<<",
    "|",
    "-",
    "*",
    "~",
)
TYPES = (
    "text",
    "name",
    "oid",
    "integer",
    "bigint",
    "regclass",
    "regtype",
    "smallint",
    "boolean",
    '"char"',
    "varchar",
)
ARRAYS = ("text[]", "name[]", "oid[]", "smallint[]", "int2vector", "oidvector", "jsonb", "state")
MOVING = (
    "inert",  # which lists the shadows themselves
    "begun",
    "public_names",
    "callable",  # which says that there are some
    "held",
    "left",
    "circumstances",
    "lock_holder",
    "table_locks",
    "locks",
    "pressure",
    "relation_count",
    "remaining",
    "shadows",
)
FEW = ("text", "integer", "name", "oid", "regclass")
VALUES = {
    "table": "things", "tables": ["things", "Others"], "names": ["things", "state"], "column": "Kind", "key": 1,
    "columns": ["Kind", "id"], "relations": ["things"], "relation": "things", "type": "state", "types": ["state"],
    "type_oid": "state", "modifier": -1, "oids": "things", "pid": 1, "mode": "AccessShareLock", "longer_than": "0 s",
    "schema": "public", "role": None, "runbook": "001_x", "blocks": None, "run_id": "00000000-0000-0000-0000-000000000000",
    "lookups": ["Others"], "keys": ["id"], "keeper": 1, "schemas": ["public", "public"], "qualifiers": ["", ""], "cursor": False,
    "path": "public", "length": 8, "read": True, "default": True, "sees_every_row": True, "least_ms": 1, "wait_ms": 1, "limit_ms": 9, "lock_timeout": "1s", "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min", "enums": ["state"], "attnums": [1], "kinds": ["index"],
    "functions": ["now"], "parents": ["things"], "parts": ["Kind"], "qualified": "public.things", "beside": ["", ""], "setting": "event_triggers", "searched": ["public"],
    "files": ["020_y"], "said": "collation \"things\" does not exist", "collations": ['"C"'],
    "block": "010_x", "revision": 0, "slices": 5, "backfill": 1, "copies": "pgrunbook_", "others": ["elsewhere"], "constraints": ["things_pkey"],
    "runs": ["00000000-0000-0000-0000-000000000000"], "identities": ["public.things"], "sets": ['["id"]'], "classes": [1259],
}  # fmt: skip
MADE = """
CREATE TYPE state AS ENUM ('new', 'gone');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE "Others" (id text PRIMARY KEY);
CREATE TABLE things (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Kind" varchar(20) DEFAULT 'a' REFERENCES "Others"
    CHECK ("Kind" IN ('a', 'b')), now state DEFAULT 'new', mail email, tags text[],
  doubled int GENERATED ALWAYS AS (2) STORED);
CREATE INDEX ON things (lower("Kind")) WHERE now = 'new';
COMMENT ON TABLE things IS 'some';
CREATE TABLE told (what text);
GRANT INSERT ON told TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
"""


def shadows(kinds: Sequence[str]) -> Iterator[str]:
    """Statements that make a better match for every operator and function that a query of ours
    names.
    """
    texts = [catalog.query(name) for name in QUERIES]
    for name in ("record", "batch"):
        path = files("pgrunbook") / "sql" / "ledger" / f"{name}.sql"
        texts.append(path.read_text(encoding="utf-8"))
    names = {name for text in texts for name in re.findall(r"\b([a-z_0-9]+)\s*\(", text)}
    yield """CREATE FUNCTION tell(what text) RETURNS text LANGUAGE plpgsql AS
             $$BEGIN INSERT INTO public.told VALUES (what); RAISE 'called: %', what; END$$"""
    for number, (left, right) in enumerate(product(kinds, repeat=2)):
        yield f"""CREATE FUNCTION hidden_{number}({left}, {right}) RETURNS boolean LANGUAGE plpgsql AS
                  $$BEGIN PERFORM public.tell('operator'); RETURN true; END$$"""
        for operator in OPERATORS:
            yield (
                f"CREATE OPERATOR {operator} (FUNCTION = hidden_{number}, LEFTARG = {left}, "
                f"RIGHTARG = {right})"
            )
    for name in sorted(names):
        body = f"RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN public.tell('{name}'); END$$"
        three = product(("text", "name", "integer"), repeat=3)
        for types in [*product(kinds, repeat=1), *product(kinds[:6], repeat=2), *three]:
            yield f"CREATE FUNCTION public.{name}({', '.join(types)}) {body}"
        yield f"CREATE FUNCTION public.{name}(text, VARIADIC name[]) {body}"


@pytest.fixture
def made(server: Server) -> Iterator[tuple[Database, Role]]:
    """A database with a ledger, and a role with nothing but CREATE on its schema public."""
    with databases.temporary(server) as database:
        database.load(MADE)
        role = databases.login_role(database)
        database.load(f"GRANT CREATE, USAGE ON SCHEMA public TO {role.name}")
        with connect(Target("test", database.url), schema="public") as conn:
            install.install(conn)
        yield database, role


def given(database: Database, name: str) -> dict[str, object]:
    """Values for the parameters of a query."""
    wanted = set(re.findall(r"%\((\w+)\)s", catalog.query(name))) - {"printed_for"}
    if lacking := sorted(wanted - VALUES.keys()):
        pytest.fail(
            f"sql/catalog/{name}.sql has parameters of a new name: {', '.join(lacking)}. "
            f"Give each a value in VALUES of {__file__}, one of its type, by which the query says "
            "something of what MADE makes."
        )
    values = {each: VALUES[each] for each in wanted}
    oid = database.execute("SELECT 'public.things'::regclass::oid, 'public.state'::regtype::oid")[0]
    for each, value in [("oids", [oid[0]]), ("type_oid", oid[1])]:
        if each in values:
            values[each] = value
    if "relation" in values and name.startswith("admission"):
        values["relation"] = oid[0]
    if "types" in values and name == "admission_domain_checks":
        values["types"] = [oid[1]]
    return values


def answers(database: Database) -> dict[str, object]:
    """What every query says to a superuser; a time and what depends on the moment are left out."""
    said: dict[str, object] = {}
    with connect(Target("test", database.url), schema="public") as conn:
        for name in QUERIES:
            if name == "commit_guard":  # a DO, which has no rows
                conn.execute(catalog.with_literals(name, {"pid": 1, "limit_ms": 0}).encode())
                continue
            rows = catalog.rows(conn, name, **given(database, name))
            if not re.search(r"^ ORDER BY", catalog.query(name), re.MULTILINE):
                rows.sort(key=repr)  # in whichever order the server has found them
            said[name] = [sorted(row) for row in rows[:1]] if name in MOVING else rows
        said["admission"] = admission.inspect(conn, "public", "things", "Kind", "c")
        said["enum"] = admission.inspect(conn, "public", "things", "now", "old")
    return said


@pytest.mark.parametrize(
    "kinds", [FEW, pytest.param(TYPES + ARRAYS, marks=pytest.mark.long)], ids=["few", "all"]
)
def test_our_queries_call_nothing_of_the_schema_and_say_the_same(
    made: tuple[Database, Role], kinds: Sequence[str]
) -> None:
    database, role = made
    before = answers(database)
    with psycopg.connect(role.url, autocommit=True) as conn:
        for statement in shadows(kinds):
            # of keywords
            with suppress(psycopg.errors.SyntaxError, psycopg.errors.InvalidFunctionDefinition):
                conn.execute(statement.encode())
    after = answers(database)
    assert database.execute("SELECT what FROM told") == []
    del before["shadows"]  # which tells them
    for name, said in before.items():
        # That the schema has an = for its own enum, the server says wherever it prints
        # pg_catalog's.
        found, wanted = (
            str(rows).replace("OPERATOR(pg_catalog.=)", "=") for rows in (after[name], said)
        )
        assert found == wanted, name
    with connect(Target("test", database.url), schema="public", read_only=True) as conn:
        named = trust.shadows(conn, "public")
    assert len(named) > 500
    assert {problem.found for problem in named} == {f"owned by {role.name}"}


@pytest.mark.parametrize("name", PRINTING)
def test_what_is_printed_for_the_schema_is_looked_up_in_pg_catalog(
    made: tuple[Database, Role], name: str
) -> None:
    """As the same query says it in a session that sees the schema, and the path is as it was
    afterwards.
    """
    database, _ = made
    values = given(database, name)
    raw = catalog.query(name).split("SELECT * FROM (\n", 1)[1].rsplit("\n    ) AS asked", 1)[0]
    with connect(Target("test", database.url), schema="public") as conn, conn.transaction():
        found = catalog.rows(conn, name, **values)
        assert conn.execute("SELECT current_setting('search_path')").fetchone() == (
            search_path.OURS,
        )
        conn.execute(search_path.set_local("public").encode())
        expected = conn.cursor(row_factory=dict_row).execute(raw, values).fetchall()
    moving = name in ("locks", "circumstances")
    assert moving or found == expected


def test_every_query_that_prints_is_marked() -> None:
    prints = re.compile(
        r"format_type|pg_get_(?!userbyid|function_id)\w+\(|::reg(class|type)::text|to_reg|_is_visible"
    )
    unmarked = {
        name for name in QUERIES if name not in PRINTING and prints.search(catalog.query(name))
    }
    # whose names are to be pasted, or run elsewhere, and have their schemas for it
    with_schemas = {"shadows", "unidentified", "extension_members", "batch_key"}
    # whose bytes are looked at; which looks for the schema of the ledger, and prints no name
    assert unmarked == {*with_schemas, "texts", "blockers"}


def refused(done: Outcome, *words: str) -> None:
    assert done.code == 2, done.text
    for word in words:
        assert word in done.text, done.text


def test_a_schema_with_shadows_is_refused_and_all_are_named(
    crm: Database, run: Callable[..., Outcome]
) -> None:
    role = databases.login_role(crm)
    crm.load(f"GRANT CREATE, USAGE ON SCHEMA public TO {role.name}; CREATE TABLE told (what text)")
    role.load("""
            CREATE FUNCTION evil(text, integer) RETURNS text LANGUAGE sql AS 'SELECT $1';
            CREATE OPERATOR || (FUNCTION = evil, LEFTARG = text, RIGHTARG = integer);
            CREATE FUNCTION format(text, name, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT $1';
            CREATE DOMAIN jsonb AS text""")
    for mode in ("plan", "apply", "verify"):
        refused(
            run(crm, "--mode", mode),
            "operator public.|| (text, integer)",
            "function public.format(text, name, VARIADIC text[])",
            "domain public.jsonb",
            f"owned by {role.name}",
            "ALTER FUNCTION public.format(text, name, VARIADIC text[]) OWNER TO "
            '"postgres"; REVOKE CREATE ON SCHEMA "public" FROM PUBLIC',
        )
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]


@pytest.mark.parametrize("command", ["status", "drift", "server"])
def test_commands_that_run_our_own_queries_alone_do_not_care(
    made: tuple[Database, Role], project: Project, command: str
) -> None:
    database, role = made
    with psycopg.connect(role.url, autocommit=True) as conn:
        for statement in shadows(("text", "name")):
            with suppress(psycopg.errors.SyntaxError, psycopg.errors.InvalidFunctionDefinition):
                conn.execute(statement.encode())
    project.env["CRM_URL"] = database.url
    done = project.command(command, "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    assert database.execute("SELECT what FROM told") == []


OVERLOADS = """
CREATE TYPE money_of AS (amount numeric, currency text);
CREATE TYPE mood AS ENUM ('ok');
CREATE FUNCTION same(money_of, money_of) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR = (FUNCTION = same, LEFTARG = money_of, RIGHTARG = money_of);
CREATE FUNCTION labelled(mood, text) RETURNS text LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION lower(mood) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION length(mood[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OPERATOR || (FUNCTION = labelled, LEFTARG = mood, RIGHTARG = text);
CREATE FUNCTION round(money_of, int) RETURNS money_of LANGUAGE sql AS 'SELECT $1';
CREATE DOMAIN email AS text;
CREATE FUNCTION left(email, int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION latest(mood, mood) RETURNS mood LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE max(mood) (SFUNC = latest, STYPE = mood);
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION lower(text, text, text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION my_own(text, integer) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE TABLE point (id int);
"""


DISGUISED = {
    "operator public.= (character varying, public.mood)": "SELECT word = 'a' FROM words",
    "operator public.<> (character varying, public.word)": "SELECT word <> other FROM words",
    "operator public.< (character varying, public.word[])": "SELECT word < ARRAY[other] FROM words",
    "operator public.> (character varying, elsewhere.taken)": "SELECT word > other FROM words",
    "function public.date_trunc(public.mood, date)": "SELECT date_trunc('day', day) FROM words",
    "function public.lower(character varying, public.mood)": "SELECT lower(word) FROM words",
    "function public.uuid(character varying)": "SELECT uuid(word) FROM words",
    "aggregate public.max(character varying)": "SELECT max(word) FROM words",
}
MADE_IN_DISGUISE = """
CREATE TYPE mood AS ENUM ('a', 'day');
CREATE DOMAIN word AS varchar;
CREATE FUNCTION tell(text) RETURNS boolean LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO public.told VALUES ($1); RETURN true; END$$;
CREATE TYPE elsewhere.taken AS (what varchar);
CREATE FUNCTION elsewhere.take(varchar) RETURNS elsewhere.taken LANGUAGE plpgsql AS
  $$BEGIN PERFORM public.tell('cast'); RETURN ROW($1); END$$;
CREATE CAST (varchar AS elsewhere.taken) WITH FUNCTION elsewhere.take AS IMPLICIT;
CREATE FUNCTION date_trunc(mood, date) RETURNS boolean LANGUAGE sql AS
  $$SELECT public.tell('function public.date_trunc(public.mood, date)')$$;
CREATE FUNCTION lower(varchar, mood DEFAULT 'a') RETURNS boolean LANGUAGE sql AS
  $$SELECT public.tell('function public.lower(character varying, public.mood)')$$;
CREATE FUNCTION uuid(varchar) RETURNS boolean LANGUAGE sql AS
  $$SELECT public.tell('function public.uuid(character varying)')$$;
CREATE FUNCTION longest(boolean, varchar) RETURNS boolean LANGUAGE sql AS
  $$SELECT public.tell('aggregate public.max(character varying)')$$;
CREATE AGGREGATE max(varchar) (SFUNC = longest, STYPE = boolean);
"""


def test_what_is_called_in_place_of_pg_catalogs_is_named(made: tuple[Database, Role]) -> None:
    """Though it takes a type of its own maker's: that of a literal, or one that a value becomes by
    itself.
    """
    database, role = made
    database.load(f"""
        DROP TYPE state CASCADE;
        CREATE TABLE words (word varchar, other varchar, day date);
        INSERT INTO words VALUES ('a', 'b', '2026-01-31');
        CREATE SCHEMA elsewhere; GRANT ALL ON SCHEMA elsewhere TO {role.name}""")
    with psycopg.connect(role.url, autocommit=True) as conn:
        conn.execute(f"SET search_path = public; {MADE_IN_DISGUISE}".encode())
        for number, what in enumerate(name for name in DISGUISED if name.startswith("operator")):
            operator, left, right = re.findall(r"public\.(\S+) \((.*), (.*)\)", what)[0]
            conn.execute(
                f"""
                CREATE FUNCTION same_{number}({left}, {right}) RETURNS boolean LANGUAGE sql
                    AS $$SELECT public.tell('{what}')$$;
                CREATE OPERATOR {operator} (FUNCTION = same_{number}, LEFTARG = {left}, RIGHTARG = {right})""".encode()
            )
    for statement in DISGUISED.values():
        database.execute(statement)
    called = {what for (what,) in database.execute("SELECT what FROM told")}
    assert called - {"cast"} == {*DISGUISED}
    with connect(Target("test", database.url), schema="public") as conn:
        named = trust.shadows(conn, "public")
        assert {problem.where for problem in named} == {*DISGUISED}
        for problem in named:
            database.load(problem.remedy.split("; ")[0])
        assert trust.shadows(conn, "public") == []


def test_what_a_role_has_put_into_an_extension_of_its_own_is_named(
    made: tuple[Database, Role],
) -> None:
    database, role = made
    if not database.execute(
        "SELECT FROM pg_available_extension_versions WHERE trusted AND name = 'citext'"
    ):
        pytest.skip(f"NOT TESTED: PostgreSQL {database.server.version} comes without citext here.")
    database.load(
        f"GRANT CREATE ON DATABASE {database.name} TO {role.name}; CREATE EXTENSION hstore"
    )
    role.load("""
            CREATE EXTENSION citext;
            CREATE FUNCTION round(float8, int) RETURNS float8 LANGUAGE sql AS 'SELECT $1';
            ALTER EXTENSION citext ADD FUNCTION round(float8, int)""")
    with connect(Target("test", database.url), schema="public") as conn:
        named = [problem.where for problem in trust.shadows(conn, "public")]
    assert named == ["function public.round(double precision, integer)"]


def test_what_only_overloads_is_none(made: tuple[Database, Role]) -> None:
    """Types of its own maker's, the same arguments, more arguments, another name; a table's row
    type.
    """
    database, _ = made
    database.load("CREATE SCHEMA fair")
    role = databases.login_role(database)
    database.load(f"GRANT CREATE, USAGE ON SCHEMA fair TO {role.name}")
    role.load(f"SET search_path = fair; {OVERLOADS}")
    with connect(Target("test", database.url), schema="fair") as conn:
        assert trust.shadows(conn, "fair") == []
        database.load(
            "CREATE FUNCTION fair.round(float8, int) RETURNS float8 LANGUAGE sql AS 'SELECT $1'"
        )
        assert trust.shadows(conn, "fair") == []  # a superuser's
        database.load(f"ALTER FUNCTION fair.round(float8, int) OWNER TO {role.name}")
        assert [problem.where for problem in trust.shadows(conn, "fair")] == [
            "function fair.round(double precision, integer)"
        ]
        database.load(f"ALTER SCHEMA fair OWNER TO {role.name}")
        assert trust.shadows(conn, "fair") == []


@pytest.mark.long
def test_shadows_elsewhere_on_the_path_of_the_role_do_nothing(
    crm: Database, run: Callable[..., Outcome]
) -> None:
    role = databases.login_role(crm)
    crm.load(
        f"CREATE SCHEMA other; GRANT CREATE, USAGE ON SCHEMA other TO {role.name}; CREATE TABLE "
        "told (what text)"
    )
    crm.load(
        f"ALTER DATABASE {crm.name} SET search_path = other, public; GRANT INSERT ON told TO PUBLIC"
    )
    with psycopg.connect(role.url, autocommit=True) as conn:
        for statement in shadows(("text", "integer", "name")):
            with suppress(psycopg.Error):
                conn.execute(
                    statement.replace("public.", "other.")
                    .replace("other.told", "public.told")
                    .encode()
                )
    for mode in ("plan", "apply", "verify"):
        done = run(crm, "--mode", mode)
        assert done.code == 0, done.text
    assert crm.execute("SELECT what FROM public.told") == []


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("other", "public, other"),
        ("Odd one", '"Odd one", public'),
        ("postgres", '"$user", public'),  # as the run's role is called
    ],
)
def test_shadows_in_a_schema_that_a_block_names_refuse_it(
    crm: Database, project: Project, schema: str, path: str
) -> None:
    role = databases.login_role(crm)
    file = project.root / "sql" / RUNBOOK / "deploy" / "010_import_batches.sql"
    file.write_text(f"-- search_path: {path}\n{file.read_text()}")
    crm.load(f'CREATE SCHEMA "{schema}"; GRANT CREATE, USAGE ON SCHEMA "{schema}" TO {role.name}')
    assert project.step(crm, "--mode", "plan").code == 0
    role.load(
        f'CREATE FUNCTION "{schema}".lower(varchar) RETURNS text LANGUAGE sql AS '
        "'SELECT $1::text'"
    )
    refused(project.step(crm, "--mode", "plan"), "may be taken for one of pg_catalog's", "lower")


ASKS = "UPDATE public.words SET word = upper(word);"
PASSED, FAILED, REFUSED = 0, 1, 2


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize(
    ("block", "code"),
    [
        (f'SET LOCAL search_path = "$user", public;\n{ASKS}', REFUSED),
        (f"SELECT set_config('search_path', '$user, public', true);\n{ASKS}", REFUSED),
        (f'SET LOCAL search_path = "$user";\nSET LOCAL ROLE owns_words;\n{ASKS}', REFUSED),
        (f"SET LOCAL SCHEMA 'other';\n{ASKS}", REFUSED),
        (f"SET LOCAL search_path TO DEFAULT;\n{ASKS}", REFUSED),
        (
            f"ALTER SCHEMA other RENAME TO new;\nSET LOCAL search_path = public, new;\n{ASKS}",
            REFUSED,
        ),
        (f'-- role: owns_words\n-- search_path: "$user", public\n\n{ASKS}', REFUSED),
        (f'-- role: owns_words\n\nSET LOCAL search_path = "$user";\n{ASKS}', REFUSED),
        (
            "CREATE FUNCTION up() RETURNS void SET search_path = public, other LANGUAGE sql"
            f" AS $$ {ASKS} $$;\nSELECT up();",
            REFUSED,
        ),
        (
            "SELECT set_config('search_path', current_setting('search_path') || ', other', true);"
            f"\n{ASKS}",
            FAILED,
        ),
        (f"DO $$ BEGIN SET LOCAL search_path = public, other; END $$;\n{ASKS}", FAILED),
        (f"DO $$ BEGIN SET LOCAL search_path = public, pg_catalog; END $$;\n{ASKS}", FAILED),
        (f"DO $$ BEGIN SET LOCAL search_path = pg_catalog, pg_temp; END $$;\n{ASKS}", PASSED),
        (f"{ASKS}\nDO $$ BEGIN SET LOCAL search_path = other; END $$;", PASSED),
        (
            f"ALTER TABLE words ADD UNIQUE (word) DEFERRABLE;\n{ASKS}\n"
            "DO $$ BEGIN SET LOCAL search_path = other; END $$;",
            FAILED,
        ),
        (
            "SET LOCAL search_path = public;\nSET LOCAL quote_all_identifiers = on;\n"
            "DO $$ BEGIN CREATE TEMP TABLE one ON COMMIT DROP AS SELECT 1 AS id;"
            f" SET LOCAL search_path = public, pg_temp; END $$;\n{ASKS}",
            PASSED,
        ),
    ],
)
def test_no_statement_of_a_block_sees_a_schema_that_nobody_has_looked_at(
    crm: Database, project: Project, block: str, code: int
) -> None:
    role = databases.login_role(crm)
    crm.load(
        "CREATE SEQUENCE called; CREATE ROLE owns_words; CREATE TABLE words (word varchar(9)); INSERT INTO words VALUES ('a');"
        "CREATE SCHEMA other; CREATE SCHEMA postgres; CREATE SCHEMA owns_words;"
        "GRANT USAGE ON SCHEMA owns_words TO owns_words;"
        "ALTER TABLE public.words OWNER TO owns_words; GRANT CREATE, USAGE ON SCHEMA public TO owns_words;"
        f"GRANT CREATE, USAGE ON SCHEMA other, postgres, owns_words TO {role.name};"
        f"GRANT USAGE ON SEQUENCE called TO PUBLIC;"
        f"ALTER DATABASE {crm.name} SET search_path = public, other"
    )
    for schema in ("other", "postgres", "owns_words"):
        role.load(
            f"CREATE FUNCTION {schema}.upper(varchar) RETURNS text LANGUAGE plpgsql AS "
            "$$BEGIN PERFORM nextval('public.called'); RETURN 'called'; END$$"
        )
    folder = project.new("003_words")
    (folder / "deploy" / "010_words.sql").write_text(f"-- title: T\n-- why: W.\n{block}\n")
    try:
        plan = project.step(crm, "--mode", "plan", runbook="003_words")
        assert plan.code == (REFUSED if code == REFUSED else PASSED), plan.text
        done = project.step(crm, runbook="003_words")
        assert done.code == code, done.text
        assert crm.execute("SELECT is_called FROM public.called") == [(False,)]
    finally:
        crm.load("DROP OWNED BY owns_words CASCADE; DROP ROLE owns_words")


@pytest.mark.parametrize("server", [18], indirect=True)
def test_our_own_queries_see_what_the_role_of_a_block_sees(crm: Database, project: Project) -> None:
    """The keys of batches are looked for with the block's operators, and as the run's role."""
    role = databases.login_role(crm)
    crm.load(
        "CREATE SEQUENCE called; CREATE ROLE owns_words; GRANT USAGE ON SEQUENCE called TO PUBLIC;"
        "CREATE TABLE words (word varchar(9) PRIMARY KEY, n int); INSERT INTO words VALUES ('a');"
        "ALTER TABLE words OWNER TO owns_words; GRANT USAGE ON SCHEMA public TO owns_words;"
        f"CREATE SCHEMA postgres; GRANT CREATE, USAGE ON SCHEMA postgres TO {role.name}"
    )
    role.load(
        "CREATE FUNCTION postgres.le(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM nextval('public.called'); RETURN true; END$$;"
        "CREATE OPERATOR postgres.<= (FUNCTION = postgres.le, LEFTARG = varchar, RIGHTARG = varchar)"
    )
    folder = project.new("003_words")
    (folder / "deploy" / "010_words.sql").write_text(
        '-- title: T\n-- why: W.\n-- role: owns_words\n-- search_path: "$user", public\n'
        "-- batch: words by word; 5 rows\n\n"
        "UPDATE words SET n = 1 WHERE word > :from AND word <= :to;\n"
    )
    try:
        done = project.step(crm, runbook="003_words")
        assert done.code == PASSED, done.text
        assert crm.execute("SELECT n FROM public.words") == [(1,)]
        assert crm.execute("SELECT is_called FROM public.called") == [(False,)]
    finally:
        crm.load("DROP OWNED BY owns_words CASCADE; DROP ROLE owns_words")
