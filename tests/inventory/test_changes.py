"""What a transaction has changed is found, whatever has changed it: compared with two whole
inventories.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest
from inventory import changes as corpus
from support import databases
from support.databases import Database

from pgrunbook.applying.effects import read_effect
from pgrunbook.inventory import changes
from pgrunbook.inventory.changes import read_changes, read_overwritten
from pgrunbook.inventory.objects import Difference, Inventory, differences
from pgrunbook.inventory.read import read, read_objects
from pgrunbook.planning.ground import Ground
from pgrunbook.planning.twin_state import TwinState
from pgrunbook.postgres import catalog
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.scripts import statements
from pgrunbook.sqltext.mentions import locks_what_it_changes

pytestmark = pytest.mark.newest

MORE = """
DO $$BEGIN EXECUTE 'CREATE TABLE made (a int)'; EXECUTE 'DROP VIEW seen'; END$$
DO $$BEGIN FOR i IN 1..9 LOOP BEGIN EXECUTE 'CREATE TABLE t' || i || ' ()'; IF i % 2 = 0 THEN RAISE 'no'; END IF; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END$$
DO $$BEGIN BEGIN DROP TABLE child CASCADE; RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN DROP VIEW seen; EXCEPTION WHEN OTHERS THEN NULL; END; END$$
CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS 'BEGIN DROP INDEX child_made; COMMENT ON TABLE parent IS ''x''; END'; SELECT make()
DROP SCHEMA app CASCADE
DROP TABLE child CASCADE
DROP TABLE parent CASCADE
DROP TYPE mood CASCADE
DROP TYPE pair CASCADE
DROP FUNCTION noted CASCADE
DROP DOMAIN email
DROP SEQUENCE child_id_seq CASCADE
DROP SERVER remote CASCADE
DROP TABLE log
DROP EXTENSION plpgsql CASCADE
COMMENT ON TABLE child IS NULL; DROP TABLE counted; ALTER TABLE child RENAME TO kid
COMMENT ON INDEX parent_pkey IS NULL
ALTER TEXT SEARCH CONFIGURATION conf DROP MAPPING FOR word
CREATE FUNCTION app.more() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN IF to_regclass(''app.extra'') IS NULL THEN CREATE TABLE app.extra (); END IF; END'; CREATE EVENT TRIGGER e ON ddl_command_end WHEN tag IN ('CREATE VIEW') EXECUTE FUNCTION app.more(); CREATE VIEW v AS SELECT 1
ALTER TABLE child RENAME TO kid
ALTER TABLE child RENAME amount TO sum
ALTER TABLE parent RENAME id TO key
ALTER TABLE log RENAME TO journal
ALTER TABLE log RENAME what TO which
ALTER FUNCTION noted RENAME TO remarked
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'
ALTER TABLE child SET SCHEMA other
ALTER VIEW seen RENAME TO looked
CREATE TABLE a (x int); DROP TABLE a
CREATE TABLE a (x int); ALTER TABLE a RENAME TO b
ALTER TABLE child RENAME TO kid; DROP TABLE kid CASCADE
SAVEPOINT a; DROP TABLE child CASCADE; ROLLBACK TO a; SAVEPOINT b; DROP TABLE counted; RELEASE b
CREATE EXTENSION hstore SCHEMA app
CREATE EXTENSION citext SCHEMA app; CREATE TABLE c (a app.citext)
REASSIGN OWNED BY alice TO bob
INSERT INTO parent VALUES (5, 'five')
TRUNCATE counted
"""
SQL = [
    *(line for line in MORE.strip().splitlines()),
    *(
        line.lstrip("=<>1678 ")
        for line in corpus.CHANGES.strip().splitlines()
        if not line.startswith(("#", "16 ", "17 ", "18 "))
    ),
]
# The objects of a schema that has another name are its direct dependents, and theirs.
BEYOND = "ALTER SCHEMA app RENAME TO application"


@pytest.fixture
def block(made: Database) -> Iterator[psycopg.Connection]:
    with made.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("SET LOCAL search_path = app")
        yield conn
        conn.execute("ROLLBACK")


def effect(block: psycopg.Connection, database: Database, before: Inventory) -> list[Difference]:
    """What the block's transaction has changed, without a look at what it has not."""
    found = read_changes(block)
    addresses = found.addresses
    if found.xid is not None:
        with database.connect(options="-c lock_timeout=1s") as other:
            everything = read_overwritten(other, found.xid)
            dropped = read_overwritten(other, found.xid, found.deleted_from)
        assert {*dropped} <= {*everything} <= {*dropped, *addresses}
        addresses = [*{*addresses, *dropped}]
    at = before.at()
    once = {at[each]: before[at[each]] for each in addresses if each in at}
    return differences(once, read_objects(block, addresses))


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param(sql, marks=pytest.mark.long if number > 40 and number % 8 else ())
        for number, sql in enumerate(SQL)
        if sql != BEYOND
    ],
    ids=lambda sql: sql[:60],
)
def test_nothing_escapes(
    made: Database, before: Inventory, block: psycopg.Connection, sql: str
) -> None:
    try:
        for statement in corpus.statements(sql):
            block.execute(statement.encode())
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as exc:
        pytest.skip(f"NOT TESTED: {exc}")
    path = block.execute("SHOW search_path").fetchone()
    found = effect(block, made, before)
    assert block.execute("SHOW search_path").fetchone() == path
    assert found == differences(before, read(block))
    # what a run says, which looks from its own session alone
    named = {address: each.identity for each, address in before.addresses.items()}
    ground = Ground("app", seen=before, named=named, at=before.at())
    told = read_effect(block, read_changes(block), ground, {}, {}).differences
    assert told == differences(before, read(block), renumbered=True)


def test_what_hangs_on_locked_relations_is_found_near_them(made: Database) -> None:
    """As much as by a look at the catalogs as a whole."""
    tried = 0
    with connect(Target("test", made.url), schema="app") as conn:
        near, whole = changes.queries(conn, near=True), changes.queries(conn)
        for sql in SQL:
            parsed = [statement.node for statement in statements(sql)]
            if not all(map(locks_what_it_changes, parsed)):
                continue
            with conn.transaction(force_rollback=True):
                conn.execute(
                    "SET LOCAL search_path = app; SET LOCAL session_replication_role = replica"
                )
                conn.execute(sql.encode())
                conn.execute("SET LOCAL search_path = pg_catalog")
                conn.execute(catalog.statement(conn, "held", keeper=None, key=None))
                assert conn.execute(near[0]).fetchall() == conn.execute(whole[0]).fetchall(), sql
            tried += 1
    assert tried > 100


def test_what_is_not_counted_is_looked_for(
    made: Database, before: Inventory, block: psycopg.Connection
) -> None:
    block.execute("SET LOCAL track_counts = off")
    block.execute("DROP TABLE child CASCADE")
    assert effect(block, made, before) == differences(before, read(block))


def test_of_others_nothing_is_found(made: Database, block: psycopg.Connection) -> None:
    """Not even of who begins later, and commits."""
    block.execute("SELECT pg_current_xact_id()")
    made.execute("CREATE TABLE public.passing (a int)")
    block.execute("CREATE TABLE mine (a int)")
    names = {each.identity for each in read_objects(block, read_changes(block).addresses)}
    assert names == {"app.mine", "app.mine.a"}
    made.execute("DROP TABLE public.passing")


def test_who_has_written_nothing_has_changed_nothing(block: psycopg.Connection) -> None:
    assert read_changes(block).xid is None
    assert read_changes(block).addresses == []


def test_a_lesser_role_may_ask(made: Database) -> None:
    role = databases.login_role(made)
    made.execute(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    with Session.opened(role.url) as conn:
        conn.execute("BEGIN")
        conn.execute("CREATE TABLE public.lesser (a int)")
        found = read_changes(conn)
        assert ("table", "public.lesser") in read_objects(conn, found.addresses)
        with Session.opened(role.url) as other:
            assert found.xid is not None
            assert read_overwritten(other, found.xid) == []
            assert ("table", "app.child") in read(other)
        conn.rollback()
    made.execute(f"REVOKE CREATE ON SCHEMA public FROM {role.name}")


def test_the_objects_of_addresses_are_those_of_the_whole(made: Database, before: Inventory) -> None:
    with made.connect() as conn:
        some = read_objects(conn, [*before.addresses.values()])
    assert some.definitions == before.definitions
    assert some.addresses == before.addresses


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3))])
def test_nothing_of_a_statement_escapes_behind_others_of_its_block(
    empty: Database, seed: int
) -> None:
    """A twin reads, of a block's objects, what each of its statements has written."""
    every = [statement for sql in SQL for statement in corpus.statements(sql)]
    made = [each.sql for each in statements(corpus.BASE, "base.sql")]
    chosen = [sql for sql in random.Random(seed).choices(every, k=80) if "ROLE" not in sql]
    done = 0
    corpus.make_roles(empty)
    with empty.connect() as conn, empty.connect() as beside:
        state = TwinState(conn, beside, ())
        before = read(conn)
        state.written.begin()
        for sql in [*made, *chosen]:
            try:
                conn.execute(f"RELEASE pgrunbook_statement; SAVEPOINT pgrunbook_statement; {sql}")
            except psycopg.Error:  # another one has dropped what it is about
                conn.execute("ROLLBACK TO pgrunbook_statement")
                continue
            done += 1
            found = state.transaction_changes([])
            state.take(found)
            after = read(conn)
            differing = differences(before, after, renumbered=True)
            expected = {each.object for each in differing if not each.object.shared}
            assert {each for each in found if not each.shared} == expected, sql
            before = after
            state.written.begin_statement()
        conn.execute("ROLLBACK")
    assert done > len(made)
