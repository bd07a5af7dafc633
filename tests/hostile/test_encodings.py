"""Databases in SQL_ASCII and LATIN1, and what is in them that is not UTF-8."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support import databases
from support.databases import Database
from support.projects import Outcome, Project

from pgrunbook.errors import Refused
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target


def latin(database: Database, sql: str) -> None:
    """Run SQL that is sent as LATIN1, byte by byte."""
    with database.connect() as conn:
        if database.name != "sql_ascii":
            conn.execute("SET client_encoding = LATIN1")
        for statement in sql.split(";"):
            conn.pgconn.exec_(statement.encode("latin-1"))


FOREIGN = """
CREATE TABLE "café" (id int PRIMARY KEY, "prix_é" text DEFAULT 'é' CHECK ("prix_é" <> 'è'));
COMMENT ON TABLE "café" IS 'é';
COMMENT ON TABLE deals IS 'les affaires, é';
ALTER TABLE deals ADD CONSTRAINT "clé" CHECK (true)
"""


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def foreign(server: Server, request: pytest.FixtureRequest) -> Database:
    database = databases.encoded(server, request.param)
    database.psql("-q", "-1", "-f", databases.SAMPLE)
    latin(database, FOREIGN)
    return database


def test_what_is_not_utf_8_is_named_and_what_can_be_converted_is_read(
    foreign: Database, run: Callable[..., Outcome], project: Project
) -> None:
    for file in (project.root / "sql").glob("001_*/deploy/*.sql"):
        file.write_text(file.read_text().replace("…", "..."))  # which LATIN1 lacks
    done = run(foreign, "--mode", "plan")
    if foreign.name == "latin1":
        assert done.code == 0, done.text
        return
    assert done.code == 2, done.text
    for word in (
        "relation ",
        "column of relation ",
        "comment on relation ",
        "constraint ",
        "caf\\xe9",
        "cl\\xe9",
    ):
        assert word in done.text, done.text


@pytest.mark.parametrize("foreign", ["LATIN1"], indirect=True)
def test_a_character_that_the_database_lacks_is_named_before_anything_is_changed(
    foreign: Database, run: Callable[..., Outcome]
) -> None:
    done = run(foreign, "--mode", "apply", "-p", "ticket", "é 日本")
    assert done.code == 2, done.text
    for where, letters in [("030_deals_source_data", "…"), ("parameters", "日, 本")]:
        assert f"{where}: holds characters that the database lacks" in done.text, done.text
        assert f"found:    {letters}\n" in done.text, done.text
    assert foreign.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_character_that_is_written_as_an_escape_is_named(
    server: Server, project: Project
) -> None:
    project.env["CRM_URL"] = databases.encoded(server, "LATIN1").url
    assert project.command("new", "escapes").code == 0
    (deploy,) = (project.root / "sql").glob("003_escapes/deploy")
    for file in [*deploy.iterdir(), *deploy.with_name("verify").iterdir()]:
        file.unlink()
    for sql in ("CREATE TABLE t (a text DEFAULT E'\\u20ac');", 'CREATE TABLE U&"\\20AC" (a int);'):
        header = "-- title: A table\n-- why: A test.\n\n"
        (deploy / "010_escapes.sql").write_text(header + sql)
        done = project.command("run", "003", "--target", "env:CRM_URL", "--mode", "plan")
        assert done.code == 2, done.text
        assert "010_escapes: holds characters that the database lacks" in done.text
        assert "found:    €\n" in done.text


KEYED = """
CREATE TABLE keyed (k text PRIMARY KEY, n int);
INSERT INTO keyed SELECT chr(i), 0 FROM generate_series(65, 90) AS i;
INSERT INTO keyed VALUES ('É', 0)
"""
BATCH = "-- title: Fill it\n-- why: A test.\n-- batch: keyed by k; 10 rows\n"
BATCH += "UPDATE keyed SET n = 1 WHERE k > :from AND k <= :to;\n"


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_key_that_is_not_utf_8_is_named(server: Server, project: Project) -> None:
    """The greatest one before anything is changed."""
    database = databases.encoded(server, "SQL_ASCII")
    latin(database, KEYED)
    assert project.command("new", "keyed").code == 0
    (deploy,) = (project.root / "sql").glob("003_keyed/deploy")
    for file in [*deploy.iterdir(), *deploy.with_name("verify").iterdir()]:
        file.unlink()
    (deploy / "010_keyed.sql").write_text(BATCH)
    project.env["CRM_URL"] = database.url
    for mode in ("plan", "apply"):
        done = project.command("run", "003", "--target", "env:CRM_URL", "--mode", mode)
        assert done.code == 2, done.text
        assert '010_keyed, header batch: a key of "public"."keyed" (k) is not UTF-8: ' in done.text
    assert database.execute("SELECT sum(n) FROM keyed") == [(0,)]
    latin(database, "UPDATE keyed SET k = 'IÉ' WHERE k > 'Z'")
    done = project.command("run", "003", "--target", "env:CRM_URL")
    assert done.code == 1, done.text
    assert 'a key of "public"."keyed" (k) is not UTF-8' in done.text, done.text
    assert "write the key anew" in done.text, done.text
    assert database.execute("SELECT sum(n) FROM keyed") == [(0,)]


def test_a_database_in_an_encoding_that_the_driver_does_not_know_is_refused(
    server: Server,
) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(
            "CREATE DATABASE mule TEMPLATE template0 ENCODING MULE_INTERNAL LOCALE 'C'"
            " LOCALE_PROVIDER libc"
        )
        try:
            with pytest.raises(Refused, match="MULE_INTERNAL"):
                connect(Target("test", server.conninfo("mule")), schema="public")
        finally:
            conn.execute("DROP DATABASE mule WITH (FORCE)")
