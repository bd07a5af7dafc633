"""Databases in SQL_ASCII and LATIN1, and what is in them that is not UTF-8."""

from __future__ import annotations

from collections.abc import Callable

import databases
import pytest
from databases import Database
from projects import Outcome

from pgrunbook import catalog, shape
from pgrunbook.connection import connect
from pgrunbook.embedded import Server
from pgrunbook.targets import Target


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
ALTER TABLE deals ADD CONSTRAINT "clé" CHECK (id > 0)
"""


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def foreign(server: Server, request: pytest.FixtureRequest) -> Database:
    database = databases.encoded(server, request.param)
    database.psql("-q", "-1", "-f", databases.SAMPLE)
    latin(database, FOREIGN)
    return database


def test_a_run_goes_through_with_bytes_that_are_not_utf_8(foreign: Database, run: Callable[..., Outcome]) -> None:
    for mode in ("plan", "apply", "verify"):
        done = run(foreign, "--mode", mode)
        assert done.code == 0, done.text


def test_they_are_read_with_an_escape(server: Server) -> None:
    database = databases.encoded(server, "SQL_ASCII")
    latin(database, "CREATE TABLE caf (id int); COMMENT ON TABLE caf IS 'café'; ALTER TABLE caf ADD x text DEFAULT 'é'")
    with connect(Target("test", database.url), schema="public") as conn:
        assert catalog.rows(conn, "tables", schema="public", tables=["caf"])[0]["comment"] == "caf\\xe9"
        facts = shape.of_catalog(conn, "public", ["caf"])
    assert "\\xe9" in facts[shape.Key("default", "caf", "x")]
