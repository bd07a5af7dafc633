"""What PostgreSQL refuses whatever rows there are is refused before anything is changed; what it
takes is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from support import databases
from support.databases import Database

from pgrunbook.errors import Failed
from pgrunbook.planning import hazards, refusals
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.twin import no_server
from pgrunbook.postgres import twin_server
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import statements

THERE = """
CREATE TABLE orders (id bigint PRIMARY KEY, note varchar(20), total numeric, state text);
CREATE TABLE lines (id bigint PRIMARY KEY, orders_id bigint REFERENCES orders);
CREATE VIEW notes AS SELECT note FROM orders;
CREATE POLICY totals ON orders USING (total > 0);
CREATE INDEX states ON orders (state);
"""
# blocks, and whether PostgreSQL keeps them from running
BLOCKS = [
    (["ALTER TABLE orders ALTER note TYPE text"], True),
    (["ALTER TABLE orders ALTER total TYPE bigint"], True),
    (["ALTER TABLE orders ALTER state TYPE varchar(9)"], False),
    (["ALTER TABLE orders DROP note"], True),
    (["ALTER TABLE orders DROP note CASCADE"], False),
    (["ALTER TABLE orders DROP state"], False),
    (["DROP VIEW notes", "ALTER TABLE orders ALTER note TYPE text, DROP state"], False),
    (["DO $$ BEGIN EXECUTE 'DROP VIEW notes'; END $$", "ALTER TABLE orders DROP note"], False),
    (["DROP TABLE orders"], True),
    (["DROP VIEW notes", "DROP TABLE orders, lines"], False),
    (["ALTER TABLE orders DROP CONSTRAINT orders_pkey"], True),
    # what fails for want of rows alone, as on the twin, is not foretold
    (["DO $$ BEGIN ASSERT EXISTS (SELECT FROM orders); END $$", "DROP TABLE orders CASCADE"], None),
]


@pytest.fixture(scope="module")
def host(place: Path, server: Server) -> Iterator[Server]:
    started = twin_server.embedded_server(place, server.version)
    yield started
    started.stop()


def decided(sqls: list[str]) -> list[Decision]:
    found = []
    for number, sql in enumerate(sqls):
        name = f"{number:03}_block"
        parsed = statements(sql, f"deploy/{name}.sql")
        alone = sql.startswith("-- transaction: no")
        block = Block(name, "", "", sql, parsed, (), transaction=not alone)
        found.append(Decision(block, Action.APPLY, "absent", tuple(range(len(parsed)))))
    return found


def foretold(
    database: Database,
    host: Server | None,
    sqls: list[str],
    *,
    planning: bool = False,
    url: str = "",
) -> list[str]:
    """What the result says of the blocks, run by the role of the URL: what is found, or `not run`."""
    results = checked(database, host, sqls, planning=planning, url=url)
    return [result.problem.found if result.problem else result.result for result in results]


def checked(
    database: Database, host: Server | None, sqls: list[str], *, planning: bool, url: str = ""
) -> Sequence[CheckResult]:
    target = Target("env:CRM_URL", url or database.url)
    with connect(target, schema="public", read_only=True) as look:

        def make(*, may_grant: bool = True) -> AbstractContextManager[twin_server.Twin]:
            assert host
            return twin_server.make_twin(target, look, host, database.name, may_grant=may_grant)

        made = decided(sqls)
        risks = hazards.assess(look, "public", made)
        maker = make if host else no_server
        results = refusals.check(look, maker, made, risks, planning=planning).results
    assert all(result.problem.remedy for result in results if result.problem)
    return results


@pytest.mark.parametrize(("sqls", "kept"), BLOCKS)
def test_what_keeps_a_block_from_running_is_foretold(
    empty: Database, host: Server, sqls: list[str], kept: bool | None
) -> None:
    empty.load(THERE)
    found = foretold(empty, host, sqls)
    complaint = ""
    try:
        for sql in sqls:
            empty.execute(sql)
    except psycopg.Error as exc:
        complaint = str(exc.diag.message_primary)
    if kept:
        assert complaint, found
        assert len(found) == 1
        assert complaint in found[0]
    else:
        assert bool(complaint) == (kept is None)
        assert set(found) <= {"ok" if kept is False else "not run"}


@pytest.mark.newest
@pytest.mark.parametrize(
    ("sql", "remedy"),
    [
        ("ALTER TABLE orders ALTER note TYPE text", "in a block before this one"),
        ("ALTER TABLE orders ALTER total TYPE bigint", "in a block before this one"),
        ("ALTER TABLE orders DROP note", "write CASCADE"),
        ("ALTER TABLE orders ALTER note TYPE text USING nme", "correct the SQL, then plan again"),
        ("ALTER TABLE orders ADD vat text DEFAULT upper(note)", "correct the SQL, then plan again"),
        (
            "DROP VIEW notes; ALTER TABLE orders DROP note, ADD vat text DEFAULT id",
            "correct the SQL, then plan again",
        ),
        ("DROP TABLE orders", "write CASCADE"),
    ],
)
def test_cascade_is_the_remedy_where_something_depends_on_it_alone(
    empty: Database, host: Server, sql: str, remedy: str
) -> None:
    empty.load(THERE)
    made = decided(["ALTER TABLE orders ALTER state TYPE varchar(9)", sql])
    target = Target("env:CRM_URL", empty.url)
    with connect(target, schema="public", read_only=True) as look:

        @contextmanager
        def make(**_: bool) -> Iterator[twin_server.Twin]:
            with twin_server.make_twin(target, look, host, empty.name) as twin:
                yield twin

        risks = hazards.assess(look, "public", made)
        (result,) = refusals.check(look, make, made, risks, planning=True).results
    assert result.problem
    assert result.problem.remedy.endswith(remedy)


LONG = pytest.mark.long

# What a plan refuses, as PostgreSQL does: each of another kind.
REFUSED = [
    "ALTER TABLE orders ALTER state TYPE int",
    "CREATE VIEW v AS SELECT nothing FROM orders",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT nothing FROM orders'",
    "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nothing()",
    "CREATE POLICY p ON notes",
    "ALTER SEQUENCE nothing RESTART",
    "ALTER TABLE orders SET SCHEMA nowhere",
    "ALTER TABLE orders DROP CONSTRAINT nothing",
    "ALTER TABLE orders DISABLE TRIGGER nothing",
    "ALTER TABLE orders ADD g float GENERATED ALWAYS AS (random()) STORED",
    "ALTER TABLE orders ALTER total SET DEFAULT id",
    "CREATE INDEX i ON orders ((random()))",
    "ALTER TABLE orders REPLICA IDENTITY USING INDEX states",
    "TRUNCATE orders",
    "CREATE TABLE p (k int) PARTITION BY RANGE (k); CREATE UNIQUE INDEX u ON p ((k + 1))",
    "CREATE TABLE one (a int); CREATE TABLE other (a text) INHERITS (one)",
    "SELECT * FROM nothing",
    "CALL nothing()",
    "UPDATE orders SET total = note",
    "INSERT INTO orders (id) VALUES (1, 2)",
    "CREATE AGGREGATE a (int) (sfunc = nothing, stype = int)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT now()'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETRN 1; END'",
    "CREATE TABLE p (k int UNIQUE) PARTITION BY RANGE (k); REINDEX TABLE p",
]
# Constants that their types do not take, and indexes that these cannot have.
REFUSED_CONSTANTS = [
    "CREATE TABLE t (a int DEFAULT 'x'::int)",
    "ALTER TABLE orders ADD d date CHECK (d < '2020-13-01')",
    "CREATE INDEX i ON orders ((state::point))",
    "CREATE TABLE t (a int DEFAULT 'x')",
    "ALTER TABLE orders ALTER total SET DEFAULT 'much'",
    "ALTER TABLE orders ADD n smallint DEFAULT '70000'",
    "ALTER TABLE orders ADD t time DEFAULT '25:00'",
    "CREATE TABLE t (j jsonb DEFAULT '{')",
    "ALTER TABLE orders ADD j json, ADD UNIQUE (j)",
    "CREATE TABLE t (a int[] DEFAULT '1,2')",
    "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (m mood DEFAULT 'fine')",
    "CREATE POLICY p ON orders USING (id = 'x')",
    "CREATE VIEW v AS SELECT * FROM orders WHERE id = 'x'",
    "CREATE DOMAIN d AS int CHECK (value > 'x')",
    "CREATE TABLE t (a date) PARTITION BY RANGE (a);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2020-13-01')",
    "CREATE INDEX i ON orders (total) WHERE id > 'x'",
    "UPDATE orders SET total = 1 WHERE id = 'x'",
    "INSERT INTO orders (id) VALUES ('x')",
    "CREATE FUNCTION f(a int DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX i ON orders USING gin (total)",
    "CREATE INDEX i ON orders (total text_ops2)",
    "ALTER TABLE orders SET (nothing = 1)",
    "ALTER TABLE orders ALTER note SET STORAGE nothing",
    "CREATE INDEX i ON orders (id) WITH (fillfactor = 1000)",
    "CREATE SEQUENCE s MAXVALUE 0",
]
# What neither the copy nor the target has, where the target alone might have it.
REFUSED_NAMES = [
    "CREATE TABLE t (a int) TABLESPACE nowhere",
    "ALTER TABLE orders OWNER TO nobody",
    'CREATE TABLE t (a text COLLATE "nothing")',
    "CREATE TABLE t (a int) USING nothing",
    "ALTER TABLE orders CLUSTER ON nothing",
    "CREATE FUNCTION f() RETURNS int LANGUAGE nothing AS 'SELECT 1'",
    "CREATE TABLE plain (a int); CREATE TABLE t (a int REFERENCES plain)",
]
# What a plan does not refuse: PostgreSQL takes it, or only the rows speak against it.
TAKEN = [
    "ALTER TABLE orders ADD COLUMN more int",
    "CREATE TABLE t (id int REFERENCES orders)",
    "INSERT INTO lines VALUES (7, 7)",
    "UPDATE orders SET total = 1 WHERE note = 'x'",
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM orders) THEN RAISE 'no order'; END IF; END $$",
    "DO $$ BEGIN PERFORM 1 / count(*) FROM orders; END $$",
    "DO $$ BEGIN EXECUTE 'COMMENT ON COLUMN orders.' ||"
    " coalesce((SELECT 'id IS NULL' FROM orders), ''); END $$",
    "CREATE ROLE made_by_a_block; DROP ROLE made_by_a_block",
    "CREATE TABLE t (a int) TABLESPACE pg_default",
]


@pytest.mark.newest
@pytest.mark.parametrize(
    "sql",
    [
        *REFUSED[:6],
        *(pytest.param(s, marks=LONG) for s in REFUSED[6:-1]),
        *REFUSED_CONSTANTS[:3],
        *(pytest.param(s, marks=LONG) for s in REFUSED_CONSTANTS[3:-1]),
        REFUSED[-1],
        REFUSED_CONSTANTS[-1],
        *REFUSED_NAMES[:2],
        *(pytest.param(s, marks=LONG) for s in REFUSED_NAMES[2:]),
    ],
)
def test_a_plan_refuses_what_postgresql_does(empty: Database, host: Server, sql: str) -> None:
    empty.load(THERE)
    assert foretold(empty, host, [sql]) == []  # a run that applies finds it in its transaction
    (found,) = foretold(empty, host, [sql], planning=True)
    with pytest.raises(psycopg.Error) as caught:
        empty.execute(sql)
    assert caught.value.diag.message_primary in found


@pytest.mark.newest
def test_a_plan_names_all_that_fails_at_once(empty: Database, host: Server) -> None:
    """But for what may fail only because something before it did: that is counted."""
    empty.load(THERE)
    sqls = [
        "ALTER TABLE orders ADD due dat; ALTER TABLE lines ADD n int; SELECT nothing();"
        'CREATE TABLE "The Bills" (id int, of_order unknown_type)',
        'ALTER TABLE "The Bills" ADD paid date; CREATE INDEX due_orders ON orders (due);'
        "COMMENT ON INDEX due_orders IS 'what is due'",
        "ALTER TABLE lines ADD m int DEFAULT n",
        "ALTER TABLE lines ALTER n SET DEFAULT 7",
    ]
    problems = [result.problem for result in checked(empty, host, sqls, planning=True)]
    found = [(each.where, each.found, each.remedy) for each in problems if each]
    correct = "correct the SQL, then plan again"
    behind = "behind it, of what it makes, drops or renames, failed without it"
    assert found == [
        (
            "deploy/000_block.sql:1",
            'type "dat" does not exist',
            f"{correct}; 2 statements {behind}",
        ),
        ("deploy/000_block.sql:1", "function nothing() does not exist", correct),
        (
            "deploy/000_block.sql:1",
            'type "unknown_type" does not exist',
            f"{correct}; 1 statement {behind}",
        ),
        ("deploy/002_block.sql:1", "cannot use column reference in DEFAULT expression", correct),
    ]


# What only the copy refuses, with an error that does not sound like rows: what is there, what
# PostgreSQL takes then, and what a plan says.
ONLY_THE_COPY = {
    "a view that no copy fills": (
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM orders; CREATE UNIQUE INDEX ON m (id)",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "ok",
    ),
    "a view that no copy fills, in a block outside a transaction": (
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM orders; CREATE UNIQUE INDEX ON m (id)",
        "-- transaction: no\nREFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "ok",
    ),
    "a view that no copy can fill": (
        "CREATE FUNCTION share() RETURNS int LANGUAGE sql"
        " AS 'SELECT 100 / count(*)::int FROM public.orders';"
        "CREATE MATERIALIZED VIEW m AS SELECT public.share() AS id; CREATE UNIQUE INDEX ON m (id)",
        "-- transaction: no\nREFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "not run",
    ),
    "a number of no rows in a statement of DO": (
        "CREATE SEQUENCE s",
        "DO $$ DECLARE n int; BEGIN SELECT max(id) INTO n FROM orders; "
        "EXECUTE format('ALTER SEQUENCE s RESTART WITH %s', n); END $$",
        "not run",
    ),
    "a table that DO makes for each row": (
        "SELECT",
        "DO $$ DECLARE n int; BEGIN FOR n IN SELECT id FROM orders LOOP "
        "EXECUTE format('CREATE TABLE of_%s ()', n); END LOOP; END $$; ALTER TABLE of_7 ADD a int",
        "not run",
    ),
    "an index that is not valid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'states'::regclass",
        "REINDEX INDEX states",
        "not run",
    ),
    "a function that somebody has put into pg_catalog": (
        "SET allow_system_table_mods = on;"
        "CREATE FUNCTION pg_catalog.theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW v AS SELECT theirs()",
        "not run",
    ),
    "the ledger": (
        "CREATE SCHEMA pgrunbook",
        "GRANT USAGE ON SCHEMA pgrunbook TO PUBLIC",
        "not run",
    ),
    "a number in a setting": (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.n = 5', current_database()); END $$",
        "ALTER TABLE orders ADD n int DEFAULT coalesce(current_setting('app.n', true), 'x')::int",
        "not run",
    ),
    "a default of a type that a setting has": (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.n = 5', current_database()); END $$;"
        "CREATE DOMAIN n AS int DEFAULT coalesce(current_setting('app.n', true), 'x')::int",
        "ALTER TABLE orders ADD m n",
        "not run",
    ),
    "a number of no rows": (
        "SELECT",
        "INSERT INTO lines (id) SELECT coalesce(max(id)::text, 'none')::int FROM orders",
        "not run",
    ),
    "where a sequence is": (
        "CREATE SEQUENCE s; SELECT setval('s', 500)",
        "ALTER SEQUENCE s MINVALUE 100 START 100",
        "not run",
    ),
    "a role that a block makes": (
        "SELECT",
        "CREATE ROLE made_by_a_block; CREATE TABLE t (a int); ALTER TABLE t OWNER TO made_by_a_block;"
        "DROP TABLE t; DROP ROLE made_by_a_block",
        "not run",
    ),
    "a collation of the target's system, with a dot in its name": (
        "SET allow_system_table_mods = on; CREATE COLLATION pg_catalog.\"of here.utf8\" (locale = 'C')",
        'CREATE TABLE t (a text COLLATE "of here.utf8")',
        "not run",
    ),
    "a subscription": (
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        "COMMENT ON SUBSCRIPTION s IS 'x'; DROP SUBSCRIPTION s",
        "not run",
    ),
    "a setting that a default takes": (
        "ALTER TABLE orders ADD code text; ALTER TABLE orders ALTER code SET DEFAULT"
        " encode('x', coalesce(current_setting('app.form', true), 'none'));"
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.form = hex', current_database()); END $$",
        "INSERT INTO orders (id) VALUES (8)",
        "not run",
    ),
    "the name of an index beside one that is alike": (
        "CREATE INDEX ON orders (total)",
        "CREATE INDEX ON orders (total); DROP INDEX orders_total_idx;"
        "ALTER INDEX orders_total_idx1 RENAME TO orders_total_idx",
        "ok",
    ),
}


@pytest.mark.newest
@pytest.mark.parametrize("case", ONLY_THE_COPY)
def test_a_plan_does_not_refuse_what_only_the_copy_lacks(
    empty: Database, host: Server, case: str
) -> None:
    there, sql, said = ONLY_THE_COPY[case]
    empty.load(f"{THERE}; INSERT INTO orders VALUES (7)")
    empty.load(there)
    assert foretold(empty, host, [sql], planning=True) == [said]
    empty.load(sql)


@pytest.mark.newest
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE COLLATION c (provider = icu, locale = 'und')",
        "CREATE TABLE t (a text COMPRESSION lz4)",
        "ALTER TABLE orders ADD doc xml DEFAULT '<a/>'",
    ],
)
def test_what_the_server_for_twins_was_built_without_is_not_foretold(
    empty: Database, host: Server, sql: str
) -> None:
    empty.load(THERE)
    (found,) = foretold(empty, host, [sql], planning=True)
    assert found in ("ok", "not run")


@pytest.mark.newest
def test_an_extension_that_the_server_for_twins_lacks_refuses_no_drop(
    empty: Database, host: Server
) -> None:
    empty.load(THERE)
    sqls = ["CREATE EXTENSION nowhere", "ALTER TABLE orders DROP note CASCADE"]
    assert foretold(empty, host, sqls) == ["not run"]


@pytest.mark.newest
def test_what_the_database_has_set_holds_on_the_twin(empty: Database, host: Server) -> None:
    for setting in (
        "check_function_bodies = off",
        "DateStyle = 'ISO, DMY'",
        "xmloption = document",
        "array_nulls = off",
    ):
        empty.load(f"ALTER DATABASE {empty.name} SET {setting}")
    sqls = [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT a FROM nowhere'",
        "CREATE TABLE t (d date DEFAULT '31/12/2020')",
    ]
    assert foretold(empty, host, sqls, planning=True) == ["ok"]
    refused = "ALTER TABLE t ADD a int[] DEFAULT '{NULL}'"
    assert foretold(empty, host, [*sqls, refused], planning=True) == ["not run"]
    empty.load("; ".join(sqls))
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        empty.execute(refused)


# What a role may not do that owns `orders` and not what is in the schema `other`.
LACKED = [
    "ALTER TABLE other.t ADD a int",
    "CREATE OR REPLACE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "COMMENT ON VIEW other.v IS 'x'",
    "ALTER TYPE other.mood RENAME VALUE 'ok' TO 'fine'",
    "CREATE TABLE other.mine (a int)",
    "CREATE TABLE mine (id int REFERENCES other.t)",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {other} GRANT SELECT ON TABLES TO PUBLIC",
    "ALTER TABLE orders OWNER TO {other}",
    "GRANT EXECUTE ON FUNCTION other.f() TO {role}",
    "INSERT INTO other.t VALUES (7)",
    "SELECT other.f()",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION nothing()",
    "ALTER TABLE orders DISABLE TRIGGER ALL",
]


@pytest.mark.parametrize(
    "sql", [LACKED[0], LACKED[-1], *(pytest.param(s, marks=LONG) for s in LACKED[1:-1])]
)
def test_a_plan_refuses_what_the_role_may_not_do(empty: Database, host: Server, sql: str) -> None:
    role, other = (databases.login_role(empty) for _ in range(2))
    empty.load(
        f"{THERE}; ALTER TABLE orders OWNER TO {role.name}; GRANT SELECT ON lines TO {role.name};"
        f"GRANT CREATE ON SCHEMA public TO {role.name}; CREATE SCHEMA other;"
        "CREATE TABLE other.t (id int PRIMARY KEY); CREATE VIEW other.v AS SELECT 1 AS a;"
        "CREATE TYPE other.mood AS ENUM ('ok');"
        "CREATE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "REVOKE EXECUTE ON FUNCTION other.f() FROM PUBLIC;"
        "GRANT USAGE ON SCHEMA other TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA other TO PUBLIC;"
        "GRANT SELECT ON notes TO PUBLIC"
    )
    sql = sql.format(role=role.name, other=other.name)
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
        role.load(sql)
    said = str(caught.value.diag.message_primary)
    (found,) = foretold(empty, host, [sql], planning=True, url=role.url)
    # a system trigger is called by its OID
    assert re.sub(r"\d+", "", said) in re.sub(r"\d+", "", found)
    # behind code that may have granted it, and what is about roles
    for before in (f"DO $$ BEGIN GRANT {other.name} TO {role.name}; END $$", "CREATE ROLE r"):
        assert foretold(empty, host, [before, sql], planning=True, url=role.url) == ["not run"]
    empty.load(f"ALTER ROLE {role.name} SUPERUSER")
    assert said not in foretold(empty, host, [sql], planning=True, url=role.url)


@pytest.mark.newest
def test_what_the_role_may_not_set_is_said(empty: Database, host: Server) -> None:
    role = databases.login_role(empty)
    empty.load(THERE)
    empty.load(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")
    sql = ["SET LOCAL log_statement = 'all'"]
    assert foretold(empty, host, sql, planning=True, url=role.url) == ["not run"]
    assert foretold(empty, host, sql, planning=True) == ["ok"]


@pytest.mark.newest
def test_another_role_may_see_more_on_the_target(empty: Database, host: Server) -> None:
    role = databases.login_role(empty)
    empty.load(f"{THERE}; CREATE SCHEMA app; CREATE TABLE app.t (); CREATE ROLE of_{role.name}")
    try:
        # which the twin has as it is, and which a block before may not do there
        for before in ("", f"ALTER ROLE {role.name} SUPERUSER; "):
            empty.load(f"{before}GRANT of_{role.name} TO {role.name}")
            empty.load(f"GRANT USAGE ON SCHEMA app TO of_{role.name}")
            empty.load("GRANT SELECT ON app.t TO PUBLIC")
            sql = f"SET LOCAL ROLE {role.name}; SET LOCAL search_path = app; SELECT FROM t"
            assert foretold(empty, host, [sql], planning=True) == ["ok"]
            empty.load(f"BEGIN; {sql}; COMMIT")
        empty.load(
            f"ALTER ROLE {role.name} NOSUPERUSER; REVOKE USAGE ON SCHEMA app FROM of_{role.name}"
        )
        sql = f"ALTER ROLE {role.name} SUPERUSER; {sql}"
        assert foretold(empty, host, [sql], planning=True) == ["not run"]
        empty.load(f"BEGIN; {sql}; ROLLBACK")
    finally:
        empty.load(f"DROP OWNED BY of_{role.name}; DROP ROLE of_{role.name}")


@pytest.mark.newest
def test_what_another_role_may_not_see_is_said(empty: Database, host: Server) -> None:
    role = databases.login_role(empty)
    empty.load("CREATE SCHEMA app; CREATE TABLE app.t (a int)")
    sql = f"SET LOCAL ROLE {role.name}; INSERT INTO app.t VALUES (7)"
    assert foretold(empty, host, [sql], planning=True) == ["not run"]


@pytest.mark.newest
@pytest.mark.parametrize("sql", [*TAKEN[:7], *(pytest.param(s, marks=LONG) for s in TAKEN[7:])])
def test_a_plan_does_not_refuse_for_want_of_rows(empty: Database, host: Server, sql: str) -> None:
    empty.load(f"{THERE}; INSERT INTO orders VALUES (7)")
    (found,) = foretold(empty, host, [sql], planning=True)
    empty.load(sql)
    assert found in ("ok", "not run")


def test_a_plan_of_many_or_of_a_large_database_asks_no_twin(
    empty: Database, host: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = ["CREATE VIEW v AS SELECT nothing FROM orders"]
    monkeypatch.setattr(refusals, "_MOST_RELATIONS", 10)
    assert foretold(empty, host, sql, planning=True) == ["not run"]
    monkeypatch.setenv(refusals.ONE_OF_MANY, "yes")
    assert foretold(empty, host, sql, planning=True) == []


def test_where_there_is_no_twin_it_is_not_asked(empty: Database) -> None:
    empty.load(THERE)
    (said,) = foretold(empty, None, ["DROP TABLE orders"])
    assert said == "not run"


@pytest.mark.newest
def test_where_the_twin_breaks_off_nothing_is_refused(empty: Database) -> None:
    @contextmanager
    def broken_off(**_: bool) -> Iterator[twin_server.Twin]:
        raise Failed.of("pg_restore was broken off", where="the copy of the schema")
        yield

    made = decided(["CREATE TABLE t ()"])
    with connect(Target("env:CRM_URL", empty.url), schema="public", read_only=True) as look:
        (result,) = refusals.check(look, broken_off, made, [], planning=True).results
    assert (result.result, result.not_run) == ("not run", "no twin: pg_restore was broken off")


def test_on_a_constraint_that_is_no_key_nothing_depends(empty: Database) -> None:
    """A foreign key refers to its table; no twin is made for that."""
    empty.load(f"{THERE}; ALTER TABLE orders ADD CONSTRAINT small CHECK (total < 9)")
    assert foretold(empty, None, ["ALTER TABLE orders DROP CONSTRAINT small"]) == []
    assert foretold(empty, None, ["ALTER TABLE orders DROP CONSTRAINT orders_pkey"]) == ["not run"]
    empty.load("CREATE VIEW per_order AS SELECT id, note FROM orders GROUP BY id")
    empty.load("ALTER TABLE lines DROP CONSTRAINT lines_orders_id_fkey")
    assert foretold(empty, None, ["ALTER TABLE orders DROP CONSTRAINT orders_pkey"]) == ["not run"]


@pytest.mark.newest
@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE lines ALTER CONSTRAINT lines_orders_id_fkey DEFERRABLE INITIALLY DEFERRED;"
        "INSERT INTO lines VALUES (7, 7)",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;"
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse(); INSERT INTO orders VALUES (7)",
    ],
)
def test_what_fails_only_at_commit_may_be_for_want_of_rows(
    empty: Database, host: Server, sql: str
) -> None:
    empty.load(THERE)
    assert foretold(empty, host, [sql, "SELECT 1"], planning=True) == ["not run"]
