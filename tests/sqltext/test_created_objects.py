"""The names of what a statement makes, and the statement that takes it away."""

from __future__ import annotations

import pglast
import pytest

from pgrunbook.sqltext.created_objects import CreatedObject, created_objects

NAMES = {
    'CREATE TABLE IF NOT EXISTS app."Deals" (id int)': "table Deals",
    "CREATE TABLE t AS SELECT 1": "table t",
    "SELECT 1 INTO t": "table t",
    "CREATE MATERIALIZED VIEW m AS SELECT 1": "materialized view m",
    "CREATE OR REPLACE VIEW v AS SELECT 1": "view v",
    "CREATE SEQUENCE s": "sequence s",
    "CREATE INDEX CONCURRENTLY i ON app.t (a)": "index i on t",
    "CREATE INDEX ON t (a)": "index without a name on t",
    "ALTER TABLE t ADD a int, ADD CONSTRAINT k CHECK (a > 0)": "table column t.a, table constraint k on t",
    "ALTER TABLE t ADD CHECK (a > 0)": "table constraint without a name on t",
    "ALTER TABLE t ADD PRIMARY KEY (a)": "table constraint t_pkey on t",
    "ALTER TABLE t ADD PRIMARY KEY USING INDEX i": "table constraint i on t",
    "ALTER TABLE t RENAME TO u": "table u",
    "ALTER TABLE t RENAME COLUMN a TO b": "table column t.b",
    "ALTER FUNCTION f(int) RENAME TO g": "function g",
    "ALTER TYPE e RENAME TO f": "type f",
    "CREATE SCHEMA app CREATE TABLE t (a int)": "schema app, table t",
    "CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql AS ''": "function f",
    "CREATE PROCEDURE p(a int, OUT b int) LANGUAGE sql AS ''": "procedure p",
    "CREATE AGGREGATE g(int) (sfunc = int4pl, stype = int)": "aggregate g",
    "CREATE TYPE e AS ENUM ('a')": "type e",
    "CREATE DOMAIN d AS int": "domain d",
    "ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0)": "domain constraint c on d",
    "CREATE STATISTICS s ON a, b FROM t": "statistics object s",
    "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()": "trigger g on t",
    "CREATE POLICY p ON t": "policy p on t",
    "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING": "rule r on t",
    'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"': "extension uuid-ossp",
    "CREATE PUBLICATION p": "publication p",
    "CREATE OPERATOR app.@@ (FUNCTION = f, LEFTARG = int, RIGHTARG = text)": "operator @@",
    "CREATE OPERATOR FAMILY f USING btree": "operator family f",
    "CREATE OPERATOR CLASS c FOR TYPE int USING btree AS STORAGE int": "operator class c",
    "CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM f": "conversion c",
    "CREATE LANGUAGE l HANDLER f": "language l",
    "CREATE ACCESS METHOD m TYPE TABLE HANDLER f": "access method m",
    "CREATE TEXT SEARCH PARSER p (start = f, gettoken = g, end = h, lextypes = i)": "text search parser p",
    "CREATE TEXT SEARCH TEMPLATE t (lexize = f)": "text search template t",
    "CREATE FOREIGN TABLE f (a int) SERVER s": "foreign table f",
    "INSERT INTO t VALUES (1)": "",
    "COMMENT ON TABLE t IS 'x'": "",
    "DROP TABLE t": "",
}
UNDONE = {
    "CREATE TEMP TABLE t (a int) ON COMMIT DROP": "DROP TABLE IF EXISTS pg_temp.t CASCADE",
    'CREATE TABLE app."Deals" (id int)': 'DROP TABLE IF EXISTS app."Deals" CASCADE',
    "ALTER TABLE app.t ADD a int": "ALTER TABLE app.t DROP COLUMN IF EXISTS a CASCADE",
    "CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql AS ''": "DROP FUNCTION IF EXISTS f(integer) CASCADE",
    "CREATE PROCEDURE p(a int, OUT b int) LANGUAGE sql AS ''": "DROP PROCEDURE IF EXISTS p(integer, OUT integer) CASCADE",
    "CREATE OPERATOR app.@@ (FUNCTION = f, RIGHTARG = int)": "DROP OPERATOR IF EXISTS app.@@(NONE, integer) CASCADE",
    "CREATE OPERATOR FAMILY app.f USING btree": "DROP OPERATOR FAMILY IF EXISTS app.f USING btree CASCADE",
    "CREATE POLICY p ON app.t": "DROP POLICY IF EXISTS p ON app.t CASCADE",
    "ALTER TABLE app.t RENAME a TO b": "ALTER TABLE app.t RENAME COLUMN b TO a",
    "ALTER INDEX i RENAME TO j": "ALTER INDEX j RENAME TO i",
    "ALTER POLICY p ON t RENAME TO q": "ALTER POLICY q ON t RENAME TO p",
}


def of(statement: str) -> list[CreatedObject]:
    return created_objects(pglast.parse_sql(statement)[0].stmt)


@pytest.mark.parametrize("statement", NAMES)
def test_what_a_statement_makes_by_name(statement: str) -> None:
    assert ", ".join(map(str, of(statement))) == NAMES[statement]


@pytest.mark.parametrize("statement", UNDONE)
def test_how_it_is_taken_away(statement: str) -> None:
    (each,) = of(statement)
    assert each.undo_statement == UNDONE[statement]


@pytest.mark.parametrize("statement", [text for text, names in NAMES.items() if names])
def test_what_takes_it_away_is_sql(statement: str) -> None:
    for each in of(statement):
        if each.name:
            pglast.parse_sql(each.undo_statement)
