"""Mode `rehearse`: the blocks are applied to a copy of the target's schema, and the target is only
read.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from support.databases import Database, Role
from support.projects import Project

from pgrunbook.errors import Failed, Refused
from pgrunbook.postgres import embedded, restore, schema_copy
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.records.naming import seal_of

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.newest]
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
CREATE TABLE parts (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (id);
CREATE TABLE parts_2026_1 PARTITION OF parts_2026 FOR VALUES IN (1);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE INDEX parts_at ON parts (at);
CREATE TABLE of_parts (id int, at date, FOREIGN KEY (id, at) REFERENCES parts DEFERRABLE INITIALLY DEFERRED);
CREATE DOMAIN half AS percent NOT NULL DEFAULT 3 CHECK (VALUE <= 50);
CREATE TYPE pair AS (a half, b text);
CREATE UNLOGGED TABLE "Odd ""name"" :x %" ("a'b" half, "ünï" pair, c int[] CHECK (cardinality(c) < 3));
ALTER TABLE "Odd ""name"" :x %" ADD CONSTRAINT later CHECK ("a'b" > 1) NOT VALID, REPLICA IDENTITY FULL;
CREATE INDEX ON "Odd ""name"" :x %" ((("ünï").b)) INCLUDE ("a'b");
CREATE TABLE child (extra text COMPRESSION pglz) INHERITS (many) WITH (fillfactor = 70);
CREATE STATISTICS both_of (dependencies) ON name, upper FROM many;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON many DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE many DISABLE TRIGGER late, FORCE ROW LEVEL SECURITY;
CREATE RULE nothing AS ON INSERT TO short DO INSTEAD NOTHING;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION on_ddl();
CREATE FOREIGN DATA WRAPPER far;
CREATE SERVER away FOREIGN DATA WRAPPER far;
CREATE FOREIGN TABLE there (a int) SERVER away;
CREATE SEQUENCE counted START 7;
INSERT INTO many (name) SELECT 'n' || i FROM generate_series(1, 500) i; ANALYZE many;
"""

# What constrains deals.source, and a type or rows that it takes besides.
LISTED = "('hubspot', 'salesforce', 'pipedrive', 'manual')"
KINDS = {
    "enum": f"CREATE TYPE kind AS ENUM {LISTED};"
    "ALTER TABLE deals ALTER source DROP DEFAULT, ALTER source TYPE kind USING source::kind",
    "domain": f"CREATE DOMAIN kind AS text CHECK (VALUE IN {LISTED}); ALTER TABLE deals ALTER "
    "source TYPE kind",
    "lookup table": "CREATE TABLE kinds (code text PRIMARY KEY, label text NOT NULL);"
    "INSERT INTO kinds SELECT DISTINCT source, 'A label' FROM deals;"
    "ALTER TABLE deals ADD FOREIGN KEY (source) REFERENCES kinds",
}


@pytest.fixture(scope="module")
def folder(place: Path) -> Iterator[Path]:
    """Where the embedded servers for copies keep their data; one for all tests, as making and
    starting one takes seconds.
    """
    server = embedded.start(place / "copies" / "postgres-18", 18)
    yield place / "copies"
    server.stop()


@pytest.fixture
def project(project: Project, folder: Path) -> Project:
    """A project that rehearses there."""
    shutil.rmtree(project.root / ".pgrunbook")
    (project.root / ".pgrunbook").symlink_to(folder)
    return project


def target(database: Database) -> Target:
    return Target("env:CRM_URL", database.url)


def databases_of(folder: Path, conn: Session) -> set[str]:
    """The copies that are there, on the embedded server of that version."""
    version = conn.info.server_version // 10_000
    server = embedded.start(folder / f"postgres-{version}", version)
    with psycopg.connect(server.conninfo()) as own:
        rows = own.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'pgrunbook_rehearsal%'"
        ).fetchall()
    return {name for (name,) in rows}


def structure(database: Database, conninfo: str = "") -> str:
    """pg_dump of the schema, without what a copy leaves out."""
    other = Database(database.server, database.name)
    text = other.dump(
        "--schema-only",
        "--no-owner",
        "--no-privileges",
        "--exclude-schema=pgrunbook",
        "-d",
        conninfo or other.conninfo,
    )
    return re.sub(r"^-- Dumped .*\n", "", text, flags=re.MULTILINE)


def test_the_copy_has_everything_but_rows(
    crm: Database, folder: Path, login_role: Callable[..., Role]
) -> None:
    crm.load(MANY_KINDS.format(role=login_role(crm).name))
    before = crm.dump()
    read = "SELECT sum(seq_tup_read), sum(idx_tup_fetch), sum(n_tup_ins) FROM pg_stat_user_tables"
    rows = crm.execute(read)
    with connect(target(crm), schema="public", read_only=True) as conn, crm.logged() as statements:
        with schema_copy.copy_schema(target(crm), conn, folder, "0123abcd") as copy:
            assert copy.warnings == ()
            assert structure(crm, copy.target.conninfo) == structure(crm)
            # whom no policy concerns
            with psycopg.connect(copy.target.conninfo, user=embedded.SUPERUSER) as there:
                tables = there.execute(
                    "SELECT oid::regclass::text FROM pg_class"
                    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                )
                for (name,) in tables.fetchall():
                    assert there.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)
                if conn.info.server_version >= 180000:
                    estimate = there.execute(
                        "SELECT reltuples FROM pg_class WHERE relname = 'many'"
                    ).fetchone()
                    assert estimate == (500,)
            assert conn.info.server_version // 10_000 == int(
                re.findall(r"PostgreSQL (\d+)", copy.server)[0]
            )
        assert databases_of(folder, conn) == set()
        # the roles are there now
        with schema_copy.copy_schema(target(crm), conn, folder, "again") as copy:
            assert copy.warnings == ()
    assert not [
        text
        for text in statements
        if re.search(r"\bCOPY\b|INSERT|UPDATE|DELETE FROM|CREATE|ALTER", text)
    ]
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
    assert "squawk:ban-drop-constraint" in rehearsed.cells["plan"]
    assert "ACCESS EXCLUSIVE" in rehearsed.cells["deals-source-data"]

    done = project.run(crm)
    assert done.code == 0, done.text
    assert rehearsed.notebook
    assert done.notebook
    compared = project.command("archive", "diff", rehearsed.notebook, done.notebook)
    assert compared.code == 0, compared.text

    applied = crm.dump()  # with the ledger, which has heads of records in it
    again = project.run(crm, "--mode", "rehearse")
    assert (again.code, crm.dump()) == (0, applied), again.text
    assert "nothing was left to do" in again.text  # as the target's ledger says


@pytest.mark.long
@on_18
@pytest.mark.parametrize("name", ["enum", "domain", "lookup table"])
def test_whatever_constrains_the_values_it_is_rehearsed_before_and_after(
    crm: Database, project: Project, name: str
) -> None:
    """A lookup table has no rows in the copy, and is found to have the value that it has in the
    target.
    """
    crm.load(f"ALTER TABLE deals DROP CONSTRAINT deals_source_check; {KINDS[name]}")
    for mode in ("rehearse", "apply", "rehearse"):
        before = crm.dump()
        done = project.step(crm, "--mode", mode)
        assert done.code == 0, done.text
        assert (crm.dump() == before) == (mode == "rehearse")


@pytest.mark.long
@on_18
def test_what_the_copy_cannot_have_is_said(crm: Database, project: Project, place: Path) -> None:
    """An extension that the embedded server lacks: an index of it is not rehearsed; a column of its
    type refuses.
    """
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
    assert "copy: table public.accounts could not be copied" in refused.text


@on_18
def test_tables_that_the_role_may_not_read(
    crm: Database, folder: Path, login_role: Callable[..., Role]
) -> None:
    role = login_role(crm, "it's a p%40ss=word")
    crm.execute(f"GRANT SELECT ON deals TO {role.name}")
    reader = Target("env:CRM_URL", role.url)
    with connect(reader, schema="public", read_only=True) as conn:
        with pytest.raises(Refused) as refused, schema_copy.copy_schema(reader, conn, folder, "x"):
            pass
        assert {"public.users", "public.contacts"} <= {p.where for p in refused.value.problems}
        assert "public.deals" not in {p.where for p in refused.value.problems}
        crm.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")
        # with the password, which is on no command line
        with schema_copy.copy_schema(reader, conn, folder, "y") as copy:
            assert copy.warnings == ()
        crm.execute(f"ALTER ROLE {role.name} PASSWORD 'another'")
        with pytest.raises(Refused) as failed, schema_copy.copy_schema(reader, conn, folder, "z"):
            pass
        assert "password authentication failed" in str(failed.value)
        assert "p%40ss" not in str(failed.value)
        assert databases_of(folder, conn) == set()


@on_18
def test_copies_of_killed_rehearsals_go_and_those_at_work_stay(crm: Database, folder: Path) -> None:
    with connect(target(crm), schema="public", read_only=True) as conn:
        with schema_copy.copy_schema(target(crm), conn, folder, "one") as first:
            server = embedded.start(folder / "postgres-18", 18)
            with psycopg.connect(server.conninfo(), autocommit=True) as own:
                own.execute("CREATE DATABASE pgrunbook_rehearsal_killed")
                own.execute("CREATE DATABASE rehearsal_of_somebody")
            with schema_copy.copy_schema(target(crm), conn, folder, "two"):
                assert databases_of(folder, conn) == {
                    "pgrunbook_rehearsal_one",
                    "pgrunbook_rehearsal_two",
                }
            psycopg.connect(first.target.conninfo).close()
            psycopg.connect(server.conninfo("rehearsal_of_somebody")).close()
        assert databases_of(folder, conn) == set()


@on_18
def test_the_target_s_own_code_is_not_run_by_a_superuser(crm: Database, folder: Path) -> None:
    """A superuser runs programs on the machine: COPY … TO PROGRAM. Making an index calls what it is
    made with.
    """
    crm.load(
        "CREATE FUNCTION harm(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
        " IF current_setting('is_superuser')::bool AND current_database() LIKE 'pgrunbook%' THEN"
        " RAISE EXCEPTION 'harm is done'; END IF; RETURN 1; END $$;"
        "CREATE INDEX harmful ON deals (harm(1))"
    )
    with (
        connect(target(crm), schema="public", read_only=True) as conn,
        schema_copy.copy_schema(target(crm), conn, folder, "x") as copy,
    ):
        assert copy.warnings == ()
        with psycopg.connect(copy.target.conninfo) as there:
            assert there.execute(
                "SELECT harm(1), to_regclass('harmful') IS NOT NULL"
            ).fetchone() == (1, True)


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT SELECT ON t TO {0}",
        "CREATE POLICY p ON t TO {0} USING (true)",
        "CREATE TABLE n (id int); ALTER TABLE n OWNER TO {0}",
        "SET LOCAL ROLE {0}; CREATE TABLE n (id int)",
        "CREATE SCHEMA new AUTHORIZATION {0}",
        "DO $$ BEGIN EXECUTE 'GRANT SELECT ON t TO {0}'; END $$",
    ],
)
@on_18
def test_roles_that_a_block_names_are_there_and_no_superuser_is_let_in(
    empty: Database, login_role: type[Role], folder: Path, statement: str
) -> None:
    role = login_role(empty).name
    empty.load("CREATE TABLE t (id int)")
    with (
        connect(target(empty), schema="public", read_only=True) as conn,
        schema_copy.copy_schema(target(empty), conn, folder, "x") as copy,
        psycopg.connect(copy.target.conninfo) as there,
    ):
        there.execute(statement.format(role).encode())
        may = "SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolsuper"
        assert {*there.execute(may)} == {(False,)}


@on_18
def test_pg_dump_reaches_the_server_of_the_session(
    crm: Database,
    folder: Path,
    login_role: Callable[..., Role],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a service, with a password in the URL, which no other user of the machine gets to read,
    whatever happens; and with settings that an older pg_dump does not know.
    """
    role = login_role(crm, "two\nlines = # 'and' a blank ")
    crm.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")
    services = tmp_path / "services"
    services.write_text(f"[crm]\nhost={crm.server.socket}\nport=5432\ndbname={crm.name}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGPORT", "1")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    commands, files, run = list[str](), list[str](), subprocess.Popen

    def spied(command: Any, **options: Any) -> Any:
        commands.append(" ".join(map(str, command)))
        files.extend(path.read_text() for path in tmp_path.glob("temporary/*/pg_service.conf"))
        return run(command, **options)

    monkeypatch.setattr(subprocess, "Popen", spied)
    for url in (
        f"postgresql://{role.name}:{quote(role.password)}@/?service=crm&max_protocol_version=3.0",
        f"postgresql://{role.name}:{quote(role.password)}@{quote(str(tmp_path), safe='')},"
        f"{quote(str(crm.server.socket), safe='')}:5432,5432/{crm.name}",
    ):
        reader = Target("env:CRM_URL", url)
        with (
            connect(reader, schema="public", read_only=True) as conn,
            schema_copy.copy_schema(reader, conn, folder, "x") as copy,
        ):
            assert copy.warnings == ()
            assert not list((tmp_path / "temporary").iterdir())
    assert files
    assert not [text for text in [*commands, *files] if "and' a blank" in text]
    assert not [text for text in files if "max_protocol_version" in text]


@on_18
def test_a_copy_that_is_not_complete_is_none(
    crm: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_restore ends in the middle, which it has no line for about any command."""
    execute = restore.run_watched

    def cut(program: Path, *arguments: str, **options: Any) -> Any:
        if "--use-list" in arguments:
            dump = Path(arguments[-1])
            dump.write_bytes(dump.read_bytes()[:100])
        return execute(program, *arguments, **options)

    monkeypatch.setattr(restore, "run_watched", cut)
    with connect(target(crm), schema="public", read_only=True) as conn:
        with (
            pytest.raises(Failed, match="broken off"),
            schema_copy.copy_schema(target(crm), conn, folder, "x"),
        ):
            pass
        assert databases_of(folder, conn) == set()


@on_18
def test_a_rehearsal_that_does_not_begin_leaves_nothing(
    crm: Database, project: Project, folder: Path
) -> None:
    done = project.step(crm, "-p", "mode", "rehearse", "-p", "schema", "nowhere")
    assert (done.code, "schema nowhere: does not exist" in done.text) == (2, True)
    with crm.connect() as conn:
        assert databases_of(folder, conn) == set()


@pytest.mark.long
@on_18
def test_a_standby_can_be_rehearsed(standby: Database, project: Project) -> None:
    done = project.run(standby, "--mode", "rehearse")
    assert done.code == 0, done.text
    assert re.search(r"primary or standby\W+standby", done.cells["target"]), done.cells["target"]


@on_18
def test_a_target_that_is_not_protected_can_ask_for_a_rehearsal_too(
    crm: Database, project: Project
) -> None:
    (project.root / "pgrunbook.toml").write_text(
        f'[targets.staging]\nenv = "CRM_URL"\n{crm.known_by}rehearsal = true\n'
    )
    project.env["CRM_URL"] = crm.url
    before = crm.dump()
    refused = project.step("staging")
    assert (refused.code, crm.dump()) == (2, before)
    assert "plan: was not rehearsed" in refused.text
    assert "approve" not in refused.text


def forge_seal(notebook: Path, forged: Path) -> None:
    """Make a seal as that of a notebook, about another one: it is well formed, and no link of the
    chain.
    """
    envelope = json.loads(seal_of(notebook).read_text())
    said = json.loads(base64.b64decode(envelope["payload"]))
    said["subject"] = said["subject"][:1]
    said["subject"][0]["name"] = said["subject"][0]["name"].replace(notebook.name, forged.name)
    envelope["payload"] = base64.b64encode(json.dumps(said).encode()).decode()
    seal_of(forged).write_text(json.dumps(envelope))


@pytest.mark.long
@on_18
def test_a_protected_target_can_ask_for_a_rehearsal_of_the_same_plan(
    crm: Database, project: Project
) -> None:
    (project.root / "pgrunbook.toml").write_text(
        f'[targets.production]\nenv = "CRM_URL"\n{crm.known_by}protected = true\nrehearsal = true\n'
    )
    project.env["CRM_URL"] = crm.url
    by = ("-p", "operator", "ada", "-p", "approver", "grace")
    without = project.step("production", *by)
    (digest,) = set(re.findall(r"approved_plan ([0-9a-f]{64})", without.text))
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
    forged = rehearsed.notebook.with_name("a-forgery.ipynb")
    forged.write_bytes(whole)
    forge_seal(rehearsed.notebook, forged)
    of_no_place = project.step("production", *given)
    assert (of_no_place.code, "its record is not sealed" in of_no_place.text) == (2, True)
    forged.unlink()
    seal_of(forged).unlink()
    copied = rehearsed.notebook.with_name("a-copy.ipynb")
    begins = json.loads(whole)["metadata"]["pgrunbook"]["run_id"][:8]
    copied.write_bytes(whole.replace(begins.encode(), b"0" * 8))  # as of a run that never was
    assert project.command("archive", "seal", copied).code == 0
    by_hand = project.step("production", *given)
    assert (by_hand.code, "its record was sealed by hand" in by_hand.text) == (2, True)
    rehearsed.notebook.write_bytes(whole)
    key = project.root / "key.pem"
    openssl = ("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key))
    subprocess.run(openssl, check=True, capture_output=True)
    project.env["PGRUNBOOK_KEY"] = str(key)  # with which nobody has signed the rehearsal
    unsigned = project.step("production", *given)
    assert (unsigned.code, "its record is not sealed, or was changed" in unsigned.text) == (2, True)
    del project.env["PGRUNBOOK_KEY"]
    done = project.step("production", *given)
    assert done.code == 0, done.text


@pytest.mark.parametrize("server", [16], indirect=True)  # half a minute, which make test has not
def test_a_schema_of_2000_tables(crm: Database, folder: Path) -> None:
    crm.load(
        "DO $$ BEGIN FOR i IN 1..2000 LOOP"
        " EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, a text NOT NULL DEFAULT %L)', "
        "i, 'x');"
        " END LOOP; END $$"
    )
    count = (
        "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        "'public'::regnamespace"
    )
    with (
        connect(target(crm), schema="public", read_only=True) as conn,
        schema_copy.copy_schema(target(crm), conn, folder, "many") as copy,
        psycopg.connect(copy.target.conninfo) as there,
    ):
        assert copy.warnings == ()
        assert there.execute(count).fetchone() == crm.execute(count)[0]
