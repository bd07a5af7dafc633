"""Mode `rehearse`: the blocks are applied to a copy of the target's schema, and the target is only read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from databases import Database, Role
from projects import Project

from pgrunbook import embedded, schemacopy
from pgrunbook.catalog import Connection
from pgrunbook.connection import connect
from pgrunbook.errors import Failed, Refused
from pgrunbook.targets import Target

pytestmark = pytest.mark.usefixtures("server")
on_18 = pytest.mark.parametrize("server", [18], indirect=True)

# What a schema can hold besides tables; `role` stands for one that policies name.
MANY_KINDS = """
CREATE EXTENSION vector;
CREATE SCHEMA other;
CREATE TYPE other.mood AS ENUM ('good', 'bad');
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE many (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood other.mood DEFAULT 'good', share percent,
  name text COLLATE "C" NOT NULL, upper text GENERATED ALWAYS AS (upper(name)) STORED, during tstzrange,
  near vector(3), EXCLUDE USING gist (during WITH &&));
CREATE INDEX many_near ON many USING hnsw (near vector_l2_ops) WHERE share > 10;
CREATE TRIGGER touched BEFORE UPDATE ON many FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE many ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON many FOR SELECT TO {role} USING (name = current_user);
CREATE VIEW short AS SELECT id, name FROM many;
CREATE MATERIALIZED VIEW held AS SELECT count(*) FROM many;
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE SEQUENCE counted START 7;
INSERT INTO many (name) SELECT 'n' || i FROM generate_series(1, 500) i; ANALYZE many;
"""


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """Where the embedded servers for copies keep their data; one for all tests, as making one takes seconds."""
    return place / "copies"


def target(database: Database) -> Target:
    return Target("env:CRM_URL", database.url)


def databases_of(folder: Path, conn: Connection) -> set[str]:
    """The copies that are there, on the embedded server of that version."""
    version = conn.info.server_version // 10_000
    server = embedded.start(folder / f"postgres-{version}", version)
    with psycopg.connect(server.conninfo()) as own:
        rows = own.execute("SELECT datname FROM pg_database WHERE datname LIKE 'rehearsal%'").fetchall()
    return {name for (name,) in rows}


def structure(database: Database, conninfo: str = "") -> str:
    """pg_dump of the schema, without what a copy leaves out."""
    other = Database(database.server, database.name)
    text = other.dump(
        "--schema-only", "--no-owner", "--no-privileges", "--exclude-schema=pgrunbook", "-d", conninfo or other.conninfo
    )
    return re.sub(r"^-- Dumped .*\n", "", text, flags=re.MULTILINE)


def test_the_copy_has_everything_but_rows(crm: Database, folder: Path, login_role: Callable[..., Role]) -> None:
    crm.load(MANY_KINDS.format(role=login_role(crm).name))
    before = crm.dump()
    read = "SELECT sum(seq_tup_read), sum(idx_tup_fetch), sum(n_tup_ins) FROM pg_stat_user_tables"
    rows = crm.execute(read)
    with connect(target(crm), schema="public", read_only=True) as conn, crm.logged() as statements:
        with schemacopy.copied(target(crm), conn, folder, "0123abcd") as copy:
            assert copy.warnings == ()
            assert structure(crm, copy.target.conninfo) == structure(crm)
            with psycopg.connect(copy.target.conninfo) as there:
                tables = there.execute(
                    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                )
                for (name,) in tables.fetchall():
                    assert there.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)
                if conn.info.server_version >= 180000:
                    estimate = there.execute("SELECT reltuples FROM pg_class WHERE relname = 'many'").fetchone()
                    assert estimate == (500,)
            assert conn.info.server_version // 10_000 == int(re.findall(r"PostgreSQL (\d+)", copy.server)[0])
        assert databases_of(folder, conn) == set()
    assert not [text for text in statements if re.search(r"\bCOPY\b|INSERT|UPDATE|DELETE FROM|CREATE|ALTER", text)]
    crm.execute("SELECT pg_stat_clear_snapshot()")
    assert (crm.execute(read), crm.dump()) == (rows, before)


def test_a_rehearsal_is_the_production_run_without_it(crm: Database, project: Project) -> None:
    """The same locks, the same shape; nothing of it in the target."""
    before = crm.dump()
    rehearsed = project.run(crm, "--mode", "rehearse")
    assert rehearsed.code == 0, rehearsed.text
    assert crm.dump() == before
    assert "all 16 blocks are in place on the copy: 10 applied, 6 adopted" in rehearsed.text
    assert "rehearsed on" in rehearsed.cells["target"]
    assert "has the shape of the target" in rehearsed.cells["preconditions"]
    assert "ACCESS EXCLUSIVE" in rehearsed.cells["deals-source-data"]

    done = project.run(crm)
    assert done.code == 0, done.text
    assert rehearsed.notebook
    assert done.notebook
    compared = project.command("archive", "diff", rehearsed.notebook, done.notebook)
    assert compared.code == 0, compared.text

    again = project.run(crm, "--mode", "rehearse")
    assert again.code == 0, again.text
    assert "nothing was left to do" in again.text  # as the target's ledger says


@on_18
def test_what_the_copy_cannot_have_is_said(crm: Database, project: Project, place: Path) -> None:
    """An extension that the embedded server lacks: an index of it is not rehearsed; a column of its type refuses."""
    share = place / "share" / "extension"
    share.mkdir(parents=True)
    (share / "odd.control").write_text("default_version = '1'\nrelocatable = true\n")
    (share / "odd--1.sql").write_text(
        "CREATE FUNCTION lowered(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';"
        "CREATE TYPE odd AS (a int);"
    )
    crm.load(
        f"SET extension_control_path = '{place / 'share'}'; CREATE EXTENSION odd;"
        "CREATE INDEX by_name ON deals (lowered(name))"
    )
    done = project.step(crm, "--mode", "rehearse")
    assert done.code == 0, done.text

    crm.load("ALTER TABLE accounts ADD COLUMN strange odd")
    refused = project.run(crm, "--mode", "rehearse")
    assert refused.code == 2
    assert 'odd WITH SCHEMA public: extension "odd" is not available' in refused.cells["target"]
    assert "CREATE TABLE public.accounts: type" in refused.cells["target"]
    assert "copy: table accounts could not be copied" in refused.text


@on_18
def test_tables_that_the_role_may_not_read(crm: Database, folder: Path, login_role: Callable[..., Role]) -> None:
    role = login_role(crm, "it's a p%40ss=word")
    crm.execute(f"GRANT SELECT ON deals TO {role.name}")
    reader = Target("env:CRM_URL", role.url)
    with connect(reader, schema="public", read_only=True) as conn:
        with pytest.raises(Refused) as refused, schemacopy.copied(reader, conn, folder, "x"):
            pass
        assert {"public.users", "public.contacts"} <= {p.where for p in refused.value.problems}
        assert "public.deals" not in {p.where for p in refused.value.problems}
        crm.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")
        with schemacopy.copied(reader, conn, folder, "y") as copy:  # with the password, which is on no command line
            assert copy.warnings == ()
        crm.execute(f"ALTER ROLE {role.name} PASSWORD 'another'")
        with pytest.raises(Failed) as failed, schemacopy.copied(reader, conn, folder, "z"):
            pass
        assert "password authentication failed" in str(failed.value)
        assert "p%40ss" not in str(failed.value)
        assert databases_of(folder, conn) == set()


@on_18
def test_copies_of_killed_rehearsals_go_and_those_at_work_stay(crm: Database, folder: Path) -> None:
    with connect(target(crm), schema="public", read_only=True) as conn:
        with schemacopy.copied(target(crm), conn, folder, "one") as first:
            server = embedded.start(folder / "postgres-18", 18)
            with psycopg.connect(server.conninfo(), autocommit=True) as own:
                own.execute("CREATE DATABASE rehearsal_killed")
            with schemacopy.copied(target(crm), conn, folder, "two"):
                assert databases_of(folder, conn) == {"rehearsal_one", "rehearsal_two"}
            psycopg.connect(first.target.conninfo).close()
        assert databases_of(folder, conn) == set()


@on_18
def test_a_standby_can_be_rehearsed(standby: Database, project: Project) -> None:
    done = project.step(standby, "--mode", "rehearse")
    assert done.code == 0, done.text


@on_18
def test_a_protected_target_can_ask_for_a_rehearsal_of_the_same_plan(crm: Database, project: Project) -> None:
    (project.root / "pgrunbook.toml").write_text(
        '[targets.production]\nenv = "CRM_URL"\nprotected = true\nrehearsal = true\n'
    )
    project.env["CRM_URL"] = crm.url
    by = ("-p", "operator", "ada", "-p", "approver", "grace")
    without = project.step("production", *by)
    (digest,) = set(re.findall(r"approved_plan=([0-9a-f]{64})", without.text))
    given = ("-p", "approved_plan", digest, *by)
    refused = project.step("production", *given)
    assert refused.code == 2
    assert "plan: was not rehearsed" in refused.text

    rehearsed = project.run("production", "--mode", "rehearse")
    assert rehearsed.code == 0, rehearsed.text
    assert rehearsed.notebook
    assert digest in rehearsed.cells["verdict"]
    whole = rehearsed.notebook.read_bytes()
    rehearsed.notebook.write_bytes(whole.replace(b"PASSED", b"passed"))
    altered = project.step("production", *given)
    assert (altered.code, "its record is not sealed, or was changed" in altered.text) == (2, True)
    rehearsed.notebook.write_bytes(whole)
    done = project.step("production", *given)
    assert done.code == 0, done.text
