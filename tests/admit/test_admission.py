"""Every kind of constraint, on real servers: found, overcome by the SQL as psql runs it, and no
more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from support.databases import Database, Role

from pgrunbook.admit import admission
from pgrunbook.admit.admission import Admission, Obstacle
from pgrunbook.errors import Refused
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Script

pytestmark = pytest.mark.newest

RUNBOOK = Path(__file__).parents[2] / "sql" / "001_import_connector"
VALUE = "csv_import"
NONSENSE = "no_such"
POOL = (None, "", "a", "b", "c", "A", "a ", "it's", "x\\y", "Csv_Import", "csv", NONSENSE, VALUE)

SCHEMA, TABLE, COLUMN = 'My "odd" Schema', "The 'Table' %s", 'Source "x" %'
NAMES = {"s": '"My ""odd"" Schema"', "t": "\"The 'Table' %s\"", "c": '"Source ""x"" %"'}


@dataclass(frozen=True)
class Case:
    """A table as it may be found in the wild, and what stands in the value's way there."""

    ddl: str
    variants: Sequence[str] = ("check",)
    since: int = 15
    # so that every value as long as this one is let in, and no other constraint is there
    lengthens: bool = False


def table(column: str, *more: str) -> str:
    return f"CREATE TABLE {{t}} (id serial PRIMARY KEY, {{c}} {', '.join([column, *more])});"


ENUM = "CREATE TYPE kind AS ENUM ('a', 'b');"
OTHER = "CREATE SCHEMA \"Other One\"; CREATE TYPE \"Other One\".\"My Kind\" AS ENUM ('a', 'it''s');"
LOOKUP = (
    "CREATE TABLE lookup (code text PRIMARY KEY{more}); INSERT INTO lookup VALUES ('a'), ('b');"
)

FREE = {
    "text": Case(table("text NOT NULL DEFAULT 'a'"), ()),
    "varchar long enough": Case(table("varchar(10)"), ()),
    "varchar": Case(table("varchar"), ()),
    "check accepts it": Case(table("text CHECK ({c} ~ '^[a-z_]+$')"), ()),
    "check names it": Case(table("text CHECK ({c} IN ('a', 'csv_import'))"), ()),
    "check null in list": Case(table("text CHECK ({c} IN ('a', NULL))"), ()),
    "check of another column": Case(table("text", "b int DEFAULT -1, CHECK (b < 0)"), ()),
    "check for some rows": Case(table("text", "d text, CHECK ({c} <> 'a' OR d IS NOT NULL)"), ()),
    "check not enforced": Case(
        table("text", "CONSTRAINT n CHECK ({c} = 'a') NOT ENFORCED"), (), since=18
    ),
    "whole row accepts": Case(
        table("text")
        + "CREATE FUNCTION ok({t}) RETURNS boolean LANGUAGE sql AS 'SELECT $1.id > 0';"
        + "ALTER TABLE {t} ADD CHECK (ok({t}))",
        (),
    ),
    "enum has it": Case("CREATE TYPE kind AS ENUM ('a', 'csv_import');" + table("kind"), ()),
    "foreign key not enforced": Case(
        LOOKUP.replace("{more}", "") + table("text REFERENCES lookup NOT ENFORCED"), (), since=18
    ),
    "default partition": Case(
        "CREATE TABLE {t} (id int, {c} text) PARTITION BY LIST ({c});"
        "CREATE TABLE p PARTITION OF {t} FOR VALUES IN ('a'); CREATE TABLE rest PARTITION OF {t} "
        "DEFAULT",
        (),
    ),
}

CHECKS = {
    name: Case(table(f"{type_} CHECK ({expression})"))
    for name, type_, expression in [
        ("list", "text", "{c} IN ('a', 'b', 'it''s', E'x\\\\y', ':value', '%')"),
        ("one", "text", "{c} = 'a'"),
        ("or", "text", "{c} = 'a' OR {c} = 'b'"),
        ("or not null", "text", "{c} IN ('a') OR {c} LIKE 'b%' OR {c} IS NULL"),
        ("null rejected", "text", "{c} IS NOT NULL AND {c} IN ('a', 'b')"),
        ("null rejected by coalesce", "text", "coalesce({c} IN ('a', 'b'), false)"),
        ("is true", "text", "({c} IN ('a', 'b')) IS TRUE"),
        ("is not distinct", "text", "{c} IS NOT DISTINCT FROM 'a'"),
        ("array text", "text", "{c} = ANY ('{{a,b}}')"),
        ("cut literal", "text", "{c} IN ('a'::varchar(3), 'b')"),
        ("reversed", "text", "'a' = {c}"),
        ("regular expression", "text", "{c} ~ '^[ab]$'"),
        ("like", "text", "{c} LIKE 'a%' OR {c} ILIKE '%b'"),
        ("length", "text", "length({c}) BETWEEN 1 AND 5"),
        ("between", "text", "{c} BETWEEN 'a' AND 'b'"),
        ("lower", "text", "lower({c}) IN ('a', 'b')"),
        ("collation", "text", "{c} COLLATE \"C\" IN ('a', 'b')"),
        ("forbidden", "text", "{c} NOT IN ('csv_import', 'c')"),
        (
            "case",
            "text",
            "CASE WHEN {c} = 'a' THEN true WHEN {c} IS NULL THEN false ELSE {c} = 'b' END",
        ),
        ("cast", "text", "{c}::varchar(1) = {c}"),
        ("varchar list", "varchar", "{c} IN ('a', 'b')"),
        ("varchar one", "varchar(20)", "{c} = 'a'"),
        ("char list", "char(10)", "{c} IN ('a', 'b')"),
        ("name", "name", "{c} IN ('a', 'b')"),
    ]
}

COMPLEX = {
    "several": Case(
        table("text CHECK ({c} IN ('a', 'b')) CHECK ({c} <> '')", "CHECK (length({c}) < 3)"),
        ("check",) * 2,
    ),
    "and": Case(table("text", "d int DEFAULT 1, CHECK ({c} IN ('a', 'b') AND d > 0)")),
    "or with another": Case(
        table("text", "d text, CHECK (({c} = 'a' AND d IS NULL) OR ({c} = 'b' AND d IS NOT NULL))")
    ),
    "rejected with the defaults": Case(
        table("text", "d text DEFAULT 'x', CHECK (d <> 'x' OR {c} IN ('a', 'b'))")
    ),
    "not null of another": Case(
        table("text", "d text DEFAULT 'x', CHECK ({c} IN ('a', 'b') AND d IS NOT NULL)")
    ),
    "sequence": Case(table("text", "n serial, CHECK (n > 0 AND {c} IN ('a', 'b'))")),
    "compared": Case(table("text", "d text DEFAULT 'b', CHECK ({c} IN ('a', d))")),
    "not valid": Case(
        table("text")
        + "INSERT INTO {t} ({c}) VALUES ('old');"
        + "ALTER TABLE {t} ADD CHECK ({c} = 'a') NOT VALID"
    ),
    "no inherit": Case(table("text", "CHECK ({c} = 'a') NO INHERIT"), ("check_no_inherit",)),
    "comment": Case(
        table("text", 'CONSTRAINT "The ""check"" %%" CHECK ({c} = \'a\')'.replace("%%", "%"))
        + 'COMMENT ON CONSTRAINT "The ""check"" %" ON {t} IS E\'it\'\'s\\n:a \\\\ comment\''
    ),
    "long name": Case(table("text", f"CONSTRAINT \"{'é' * 31}\" CHECK ({{c}} = 'a')")),
    "temporary name taken": Case(
        table("text", "CONSTRAINT x CHECK ({c} = 'a'), CONSTRAINT x_new CHECK (id > 0)")
    ),
    "function": Case(
        "CREATE FUNCTION ok(text) RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 IN "
        "(''a'', ''b''); END';" + table("text CHECK (ok({c}))")
    ),
    "function elsewhere": Case(
        'CREATE SCHEMA "Other One"; CREATE FUNCTION "Other One"."Is OK"(text) RETURNS boolean '
        "LANGUAGE sql"
        " AS 'SELECT $1 IN (''a'', ''b'')';" + table('text CHECK ("Other One"."Is OK"({c}))')
    ),
    "whole row": Case(
        table("text")
        + "CREATE FUNCTION ok(r {t}) RETURNS boolean LANGUAGE sql AS 'SELECT r.{c} IN (''a'', "
        "''b'')';" + "ALTER TABLE {t} ADD CHECK (ok({t}))"
    ),
    "partitioned": Case(
        "CREATE TABLE {t} (id serial, {c} text CHECK ({c} IN ('a', 'b'))) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF {t} FOR VALUES FROM (0) TO (9);"
        "CREATE TABLE p2 PARTITION OF {t} (CHECK ({c} <> 'b'), CHECK ({c} = 'a')) FOR VALUES FROM "
        "(9) TO (99)",
        ("check", "check"),
    ),
    "inherited by others": Case(
        table("text CHECK ({c} IN ('a', 'b'))") + "CREATE TABLE child () INHERITS ({t})"
    ),
    "varchar short": Case(
        table("varchar(6) DEFAULT 'a'") + "CREATE INDEX ON {t} ({c})", ("varchar",), lengthens=True
    ),
    "varchar collated": Case(table('varchar(3) COLLATE "C"'), ("varchar",), lengthens=True),
    "char short": Case(table("char(3)"), ("varchar",), lengthens=True),
    "varchar short with check": Case(
        table("varchar(3) CHECK ({c} IN ('a', 'b'))"), ("varchar", "check")
    ),
}

TYPES = {
    "enum": Case(ENUM + table("kind DEFAULT 'a'"), ("enum",)),
    "enum elsewhere": Case(OTHER + table('"Other One"."My Kind" NOT NULL'), ("enum",)),
    "enum with list": Case(ENUM + table("kind CHECK ({c} IN ('a'))"), ("enum", "check")),
    "enum with list elsewhere": Case(
        OTHER + table("\"Other One\".\"My Kind\" CHECK ({c} = 'a' OR {c} = 'it''s')"),
        ("enum", "check"),
    ),
    "enum with texts": Case(ENUM + table("kind CHECK ({c}::text IN ('a'))"), ("enum", "check")),
    "enum with more": Case(
        ENUM + table("kind", "d text, CHECK ({c} = 'a' OR ({c} <> 'b' AND d IS NOT NULL))"),
        ("enum", "check"),
    ),
    "enum with array text": Case(
        ENUM + table("kind CHECK ({c} = ANY ('{{a}}'))"), ("enum", "check")
    ),
    "enum accepted by its check": Case(ENUM + table("kind CHECK ({c} <> 'b')"), ("enum",)),
    "enum label there, check not": Case(
        "CREATE TYPE kind AS ENUM ('a', 'b', 'csv_import');" + table("kind CHECK ({c} IN ('a'))")
    ),
    "enum label there, order": Case(
        "CREATE TYPE kind AS ENUM ('a', 'b', 'csv_import');" + table("kind CHECK ({c} < 'b')")
    ),
    "domain": Case(
        "CREATE DOMAIN d AS text CHECK (VALUE IN ('a', 'b'));" + table("d DEFAULT 'a'"), ("domain",)
    ),
    "domain, several": Case(
        "CREATE DOMAIN d AS text CONSTRAINT x CHECK (VALUE ~ '^[ab]') CONSTRAINT y CHECK (VALUE "
        "<> '')"
        " CONSTRAINT z CHECK (VALUE IS NOT NULL AND length(VALUE) < 3);"
        "COMMENT ON CONSTRAINT x ON DOMAIN d IS 'why';" + table("d"),
        ("domain", "domain"),
    ),
    "domain over domain": Case(
        "CREATE DOMAIN d1 AS varchar CHECK (VALUE IN ('a', 'b')); CREATE DOMAIN d2 AS d1 CHECK "
        "(VALUE <> 'b');"
        "CREATE DOMAIN d3 AS d2 NOT NULL CHECK (VALUE = 'a');" + table("d3"),
        ("domain", "domain"),
    ),
    "domain over enum": Case(
        ENUM + "CREATE DOMAIN d AS kind CHECK (VALUE IN ('a'));" + table("d"), ("enum", "domain")
    ),
    "domain over enum with check": Case(
        ENUM
        + "CREATE DOMAIN d AS kind CHECK (VALUE <> 'b');"
        + table("d CHECK ({c}::kind IN ('a'))"),
        ("enum", "check"),
    ),
    "domain with check": Case(
        "CREATE DOMAIN d AS text CHECK (VALUE IN ('a', 'b'));" + table("d CHECK ({c} IN ('a'))"),
        ("domain", "check"),
    ),
    "domain not valid": Case(
        "CREATE DOMAIN d AS text;" + table("d") + "INSERT INTO {t} ({c}) VALUES ('old');"
        "ALTER DOMAIN d ADD CHECK (VALUE = 'a') NOT VALID",
        ("domain",),
    ),
    "domain elsewhere": Case(
        'CREATE SCHEMA "Other One"; CREATE DOMAIN "Other One"."My D" AS varchar(20)'
        " CONSTRAINT \"My C\" CHECK (VALUE IN ('a', 'b'));" + table('"Other One"."My D"'),
        ("domain",),
    ),
}

LOOKUPS = {
    "lookup": Case(LOOKUP.replace("{more}", "") + table("text REFERENCES lookup"), ("lookup",)),
    "lookup, not valid": Case(
        LOOKUP.replace("{more}", "") + table("text") + "INSERT INTO {t} ({c}) VALUES ('old');"
        "ALTER TABLE {t} ADD FOREIGN KEY ({c}) REFERENCES lookup NOT VALID",
        ("lookup",),
    ),
    "lookup, to fill in": Case(
        'CREATE TABLE "Look Up" (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, "The Code" text '
        "UNIQUE,"
        " label text NOT NULL, n int NOT NULL DEFAULT 0, note text);"
        "INSERT INTO \"Look Up\" (\"The Code\", label) VALUES ('a', 'A');"
        + table('text REFERENCES "Look Up" ("The Code")'),
        ("lookup",),
    ),
    "lookup short": Case(
        "CREATE TABLE lookup (code varchar(2) PRIMARY KEY); INSERT INTO lookup VALUES ('a');"
        + table("varchar(2) REFERENCES lookup"),
        ("varchar", "varchar", "lookup"),
    ),
    "lookup with check": Case(
        "CREATE TABLE lookup (code text PRIMARY KEY CHECK (code IN ('a', 'b'))); INSERT INTO "
        "lookup VALUES ('a');" + table("text CHECK ({c} IN ('a')) REFERENCES lookup"),
        ("check", "check", "lookup"),
    ),
    "lookup of the same domain": Case(
        "CREATE DOMAIN d AS text CHECK (VALUE IN ('a', 'b')); CREATE TABLE lookup (code d PRIMARY "
        "KEY);"
        "INSERT INTO lookup VALUES ('a');" + table("d REFERENCES lookup"),
        ("domain", "lookup"),
    ),
    "lookup elsewhere": Case(
        'CREATE SCHEMA "Other One"; CREATE TABLE "Other One"."Look Up" ("Code" varchar(1) PRIMARY '
        "KEY);"
        'INSERT INTO "Other One"."Look Up" VALUES (\'a\');'
        + table('text REFERENCES "Other One"."Look Up"'),
        ("varchar", "lookup"),
    ),
    "lookup of lookup": Case(
        "CREATE TABLE base (code text PRIMARY KEY); INSERT INTO base VALUES ('a');"
        "CREATE TABLE lookup (code text PRIMARY KEY REFERENCES base); INSERT INTO lookup VALUES "
        "('a');" + table("text REFERENCES lookup"),
        ("lookup", "lookup"),
    ),
    "two foreign keys": Case(
        LOOKUP.replace("{more}", "")
        + table("text REFERENCES lookup REFERENCES lookup ON DELETE CASCADE"),
        ("lookup",),
    ),
}

OBSTRUCTED = {**CHECKS, **COMPLEX, **TYPES, **LOOKUPS}


REVERTED = {
    name: OBSTRUCTED[name]
    for name in (
        "list", "case", "several", "and", "not "
                                          "valid", "no "
                                                   "inherit", "comment", "partitioned", "inherited by others",
        "varchar short", "varchar collated", "enum", "enum elsewhere",
        "domain, several", "domain over domain", "domain not valid", "domain elsewhere",
        "lookup", "lookup, to fill in", "lookup short", "lookup with check", "lookup of lookup",
    )
}  # fmt: skip

# What is there, and what the problem says of it.
PROBLEMS = {
    "no table": ("CREATE TABLE x (y int)", "no such table"),
    "view": ("CREATE VIEW {t} AS SELECT 'a' AS {c}", "is a view, not a table"),
    "no column": ("CREATE TABLE {t} (x text)", "no such column"),
    "generated": (
        "CREATE TABLE {t} (x text, {c} text GENERATED ALWAYS AS (lower(x)) STORED)",
        "is a generated column",
    ),
    "integer": (table("int"), "type integer cannot hold 'csv_import'"),
    "uuid": (table("uuid"), "type uuid cannot hold"),
    "jsonb": (table("jsonb"), "type jsonb cannot hold"),
    "boolean": (table("boolean"), "type boolean cannot hold"),
    "bytes": (table("bytea"), "type bytea cannot hold"),
    "one character": (table('"char"'), 'type "char" cannot hold'),
    "texts": (table("text[]"), "type text[] cannot hold"),
    "enums": (ENUM + table("kind[]"), "type kind[] cannot hold"),
    "enum order": (ENUM + table("kind CHECK ({c} < 'b')"), "the order of an enum's labels"),
    "enum to a function": (
        ENUM
        + "CREATE FUNCTION ok(kind) RETURNS boolean LANGUAGE sql AS 'SELECT $1 IS NOT NULL';"
        + table("kind CHECK (ok({c}))"),
        "cannot be judged",
    ),
    "domain too short": (
        "CREATE DOMAIN d AS varchar(3);" + table("d"),
        "give the column a domain over character varying(10)",
    ),
    "domain inside another type": (
        "CREATE DOMAIN d AS text CHECK (VALUE = 'a'); CREATE TABLE x (y d[]);" + table("d"),
        "inside the type of x.y",
    ),
    "view on short": (
        table("varchar(3)") + "CREATE VIEW v AS SELECT {c} FROM {t}",
        "rule _RETURN on view v",
    ),
    "policy on short": (
        table("varchar(3)") + "CREATE POLICY p ON {t} USING ({c} = 'a')",
        "policy p on table",
    ),
    "trigger on short": (
        table("varchar(3)")
        + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER tr BEFORE UPDATE OF {c} ON {t} FOR EACH ROW EXECUTE FUNCTION f()",
        "trigger tr on table",
    ),
    "generated from short": (
        table("varchar(3)", "g text GENERATED ALWAYS AS (lower({c})) STORED"),
        "default value for column g",
    ),
    "function of short": (
        table("varchar(3)")
        + "CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT {c} FROM {t}; END",
        "function f()",
    ),
    "view on short partition": (
        "CREATE TABLE {t} (id int, {c} varchar(3)) PARTITION BY LIST (id); CREATE TABLE p "
        "PARTITION OF {t} DEFAULT;"
        "CREATE VIEW v AS SELECT {c} FROM p",
        "rule _RETURN on view v",
    ),
    "short partition key": (
        "CREATE TABLE {t} ({c} varchar(3)) PARTITION BY LIST ({c}); CREATE TABLE p PARTITION OF "
        "{t} DEFAULT",
        "the partition key of",
    ),
    "short in partition key": (
        "CREATE TABLE {t} ({c} varchar(3)) PARTITION BY RANGE (lower({c}))",
        "the partition key of",
    ),
    "short inherited": (
        "CREATE TABLE p ({c} varchar(3)); CREATE TABLE {t} () INHERITS (p)",
        "the parent table p",
    ),
    "inherited check": (
        "CREATE TABLE p ({c} text CHECK ({c} = 'a')); CREATE TABLE {t} () INHERITS (p)",
        "inspect p instead",
    ),
    "inherited check of a partition": (
        "CREATE TABLE p ({c} text CHECK ({c} = 'a')) PARTITION BY LIST ({c}); CREATE TABLE {t} "
        "PARTITION OF p DEFAULT",
        "inspect p instead",
    ),
    "check of a child too": (
        table("text CONSTRAINT x CHECK ({c} = 'a')")
        + "CREATE TABLE child (CONSTRAINT x CHECK ({c} = 'a')) INHERITS ({t})",
        "also defined by child",
    ),
    "no partition": (
        "CREATE TABLE {t} ({c} text) PARTITION BY LIST ({c}); CREATE TABLE p PARTITION OF {t} FOR "
        "VALUES IN ('a')",
        "make a partition for 'csv_import'",
    ),
    "not in this partition": (
        "CREATE TABLE p ({c} text) PARTITION BY LIST ({c}); CREATE TABLE {t} PARTITION OF p FOR "
        "VALUES IN ('a')",
        "no partition of",
    ),
    "no partition for the label": (
        ENUM
        + "CREATE TABLE {t} ({c} kind) PARTITION BY LIST ({c}); CREATE TABLE p PARTITION OF {t} "
        "FOR VALUES IN ('a')",
        "no partition of",
    ),
    "function that fails": (
        "CREATE FUNCTION ok(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''not %'', $1; "
        "END';" + table("text CHECK (ok({c}))"),
        "not csv_import",
    ),
    "function that writes": (
        "CREATE TABLE log (x text); CREATE FUNCTION ok(text) RETURNS boolean LANGUAGE sql AS"
        " 'INSERT INTO log VALUES ($1) RETURNING true';" + table("text CHECK (ok({c}))"),
        "read-only transaction",
    ),
    "mixed with another": (
        table("text", "d text, CHECK (coalesce(length({c}) < length(d), false))"),
        "depends on the other columns",
    ),
    "lookup of several columns": (
        "CREATE TABLE lookup (n int, code text, PRIMARY KEY (n, code));"
        + table("text", "n int, FOREIGN KEY (n, {c}) REFERENCES lookup"),
        "holds several columns",
    ),
    "lookup that needs more": (
        "CREATE TABLE lookup (code text PRIMARY KEY, n int NOT NULL, l varchar(2) NOT NULL);"
        + table("text REFERENCES lookup"),
        "a row needs n integer NOT NULL, l character varying(2) NOT NULL",
    ),
    "lookup by enum": (
        ENUM + "CREATE TABLE lookup (code kind PRIMARY KEY);" + table("kind REFERENCES lookup"),
        "add the label by hand, commit",
    ),
    "lookup with a problem": (
        "CREATE TABLE lookup (code varchar(2) PRIMARY KEY); CREATE VIEW v AS SELECT code FROM "
        "lookup;" + table("text REFERENCES lookup"),
        "rule _RETURN on view v",
    ),
    "lookup in a circle": (
        table("text UNIQUE") + "ALTER TABLE {t} ADD FOREIGN KEY ({c}) REFERENCES {t} ({c})",
        "depend on each other",
    ),
}


def load(database: Database, case: Case) -> None:
    if database.server.version < case.since:
        pytest.skip(f"only since version {case.since}")
    execute(database, "CREATE SCHEMA {s}")
    execute(database, case.ddl)


def execute(database: Database, statements: str) -> None:
    """Run SQL with the names filled in."""
    database.load("SET search_path = {s};".format(**NAMES) + statements.format(**NAMES))


def inspect(database: Database, value: str = VALUE) -> Admission:
    with database.connect() as conn:
        return admission.inspect(conn, SCHEMA, TABLE, COLUMN, value)


def accepted(database: Database) -> set[str | None]:
    """Which values of the pool a new row may hold."""
    insert = sql.SQL("INSERT INTO {} (id, {}) VALUES (10, {})")
    place = sql.Identifier(SCHEMA, TABLE), sql.Identifier(COLUMN)
    found = set()
    with database.connect() as conn:
        conn.execute("SET search_path = {s}".format(**NAMES))
        for value in POOL:
            try:
                with conn.transaction(force_rollback=True):
                    conn.execute(insert.format(*place, sql.Literal(value)))
                    found.add(value)
            except (psycopg.IntegrityError, psycopg.DataError):
                pass
    return found


def shape(database: Database) -> list[tuple[object, ...]]:
    """All of each constraint but its definition."""
    return database.execute(
        "SELECT conrelid::regclass, contypid::regtype, conname, contype, convalidated, "
        "connoinherit, conislocal,"
        " coninhcount, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE "
        "connamespace NOT IN"
        " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1, 2, 3"
    )


def psql(database: Database, *steps: tuple[str, Mapping[str, str]]) -> None:
    """Run these files with these variables, in one transaction."""
    arguments = ["-1", "-c", "SET search_path = {s}".format(**NAMES)]
    for file, variables in steps:
        for name, value in variables.items():
            escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
            arguments += ["-c", f"\\set {name} '{escaped}'"]
        arguments += ["-f", str(RUNBOOK / file)]
    database.psql(*arguments)


def validated(obstacle: Obstacle) -> str:
    """What validates the constraint: to that it is all the same who inherits it."""
    return "domain" if obstacle.variant == "domain" else "check"


def deploy(database: Database, obstacles: Sequence[Obstacle]) -> None:
    psql(
        database,
        *((f"deploy/070_admit_csv_import/{o.variant}.sql", o.variables) for o in obstacles),
    )
    validate = [o for o in obstacles if o.validate]
    psql(
        database,
        *((f"deploy/080_validate_csv_import/{validated(o)}.sql", o.variables) for o in validate),
    )
    psql(
        database,
        *((f"verify/080_validate_csv_import/{validated(o)}.sql", o.variables) for o in validate),
    )


def revert(database: Database, obstacles: Sequence[Obstacle]) -> None:
    undone = [*reversed(obstacles)]
    validate = [o for o in undone if o.validate]
    psql(
        database,
        *((f"revert/080_validate_csv_import/{validated(o)}.sql", o.variables) for o in validate),
    )
    psql(database, *((f"revert/070_admit_csv_import/{o.variant}.sql", o.variables) for o in undone))


def verify(
    database: Database, value: str = VALUE, *, nonsense: str = NONSENSE, rejected: bool
) -> None:
    variables = {
        "table": TABLE,
        "column": COLUMN,
        "value": value,
        "nonsense": nonsense,
        "nonsense_rejected": str(rejected).lower(),
    }
    psql(database, ("verify/070_admit_csv_import/admitted.sql", variables))


@pytest.mark.parametrize("case", FREE.values(), ids=FREE.keys())
def test_accepts_already(empty: Database, case: Case) -> None:
    load(empty, case)
    assert VALUE in accepted(empty)
    found = inspect(empty)
    assert (found.obstacles, found.problems) == ((), ())
    verify(empty, rejected=not inspect(empty, NONSENSE).accepts)


@pytest.mark.parametrize("case", OBSTRUCTED.values(), ids=OBSTRUCTED.keys())
def test_admits_exactly_one_more_value(empty: Database, case: Case) -> None:
    load(empty, case)
    before, constraints = accepted(empty), shape(empty)
    found = inspect(empty)
    assert ([o.variant for o in found.obstacles], found.problems) == ([*case.variants], ())
    assert inspect(empty, NONSENSE).accepts == (NONSENSE in before)

    deploy(empty, found.obstacles)

    longer = {
        value for value in POOL if value is not None and len(value) <= len(VALUE) and case.lengthens
    }
    assert accepted(empty) == before | {VALUE} | longer
    assert shape(empty) == constraints
    assert inspect(empty).accepts
    verify(empty, rejected=NONSENSE not in accepted(empty))


@pytest.mark.parametrize("case", REVERTED.values(), ids=REVERTED.keys())
def test_revert_brings_the_exact_shape_back(empty: Database, case: Case) -> None:
    load(empty, case)
    before = empty.dump()
    found = inspect(empty).obstacles
    deploy(empty, found)
    assert empty.dump() != before
    revert(empty, found)
    assert empty.dump() == before


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("list", "is violated by some row"),
        ("domain", "contains values that violate the new constraint"),
        ("enum", "rows hold it"),
        ("varchar short", "value too long"),
        ("lookup", "rows hold csv_import"),
        ("two foreign keys", "rows hold csv_import"),
    ],
)
def test_revert_refuses_while_a_row_holds_the_value(
    empty: Database, name: str, complaint: str
) -> None:
    load(empty, OBSTRUCTED[name])
    found = inspect(empty).obstacles
    deploy(empty, found)
    execute(empty, "INSERT INTO {t} ({c}) VALUES ('csv_import')")
    before = empty.dump()
    with pytest.raises(CalledProcessError) as caught:
        revert(empty, found)
    assert complaint in caught.value.stderr
    assert empty.dump() == before


def test_revert_leaves_an_enum_that_a_check_compares(empty: Database) -> None:
    load(empty, TYPES["enum with list"])
    found = inspect(empty).obstacles
    deploy(empty, found)
    before = empty.dump()
    with pytest.raises(CalledProcessError) as caught:
        revert(empty, found)
    assert "enum kind cannot be made again without csv_import" in caught.value.stderr
    assert empty.dump() == before


@pytest.mark.parametrize(("ddl", "said"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems(empty: Database, ddl: str, said: str) -> None:
    load(empty, Case(ddl))
    found = inspect(empty)
    assert not found.accepts
    (problem,) = found.problems
    assert said in "\n".join(problem.lines())
    assert problem.where
    assert problem.remedy


@pytest.mark.parametrize(
    "name",
    ["list", "several", "enum with list", "domain over enum", "lookup short", "varchar short"],
)
def test_reads_only(empty: Database, name: str) -> None:
    load(empty, OBSTRUCTED[name])
    before = empty.dump()
    found = inspect(empty)
    with empty.connect() as conn:
        conn.read_only = True
        assert admission.inspect(conn, SCHEMA, TABLE, COLUMN, VALUE) == found
    assert empty.dump() == before


def test_leaves_the_session_as_it_was(empty: Database) -> None:
    load(empty, OBSTRUCTED["list"])
    with empty.connect() as conn, conn.transaction():
        conn.execute("CREATE TABLE public.mine (x int)")
        admission.inspect(conn, SCHEMA, TABLE, COLUMN, VALUE)
        conn.execute("INSERT INTO public.mine VALUES (1)")
        assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_works_on_a_standby(standby: Database) -> None:
    with standby.connect() as conn:
        found = admission.inspect(conn, "public", "connections", "source_type", VALUE)
    assert [o.variant for o in found.obstacles] == ["check"]


def test_a_check_keeps_what_it_asks_of_other_columns(empty: Database) -> None:
    load(empty, COMPLEX["and"])
    deploy(empty, inspect(empty).obstacles)
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(empty, "INSERT INTO {t} ({c}, d) VALUES ('csv_import', 0)")


def test_a_check_keeps_what_it_asks_of_this_very_value(empty: Database) -> None:
    load(empty, Case(table("text", "d text, CHECK ({c} <> 'csv_import' OR d IS NOT NULL)")))
    assert VALUE not in accepted(empty)
    assert inspect(empty).accepts


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_check_is_judged_in_the_collation_of_its_column(empty: Database) -> None:
    """To the database's own collation, C, É is not a letter."""
    load(empty, Case(table("text COLLATE pg_c_utf8 CHECK (lower({c}) = 'é')"), since=17))
    assert inspect(empty, "É").accepts
    assert not inspect(empty, "E").accepts


def test_a_lookup_table_that_the_role_may_not_read(
    empty: Database, login_role: Callable[[Database], Role]
) -> None:
    load(empty, LOOKUPS["lookup"])
    role = login_role(empty)
    execute(empty, f"GRANT USAGE ON SCHEMA {{s}} TO {role.name}")
    with Session.opened(role.url) as conn:
        (problem,) = admission.inspect(conn, SCHEMA, TABLE, COLUMN, VALUE).problems
    assert problem.what == "permission denied for table lookup"
    assert problem.remedy


def test_lists_what_constrains_a_lookup_tables_column_too(empty: Database) -> None:
    load(empty, LOOKUPS["lookup with check"])
    rows = [(found.kind, found.owner, found.accepts) for found in inspect(empty).constraints]
    assert rows == [
        ("check", NAMES["t"], False),
        ("foreign key", NAMES["t"], False),
        ("check", "lookup", False),
    ]


def test_names_who_shares_the_type(empty: Database) -> None:
    load(empty, TYPES["enum"])
    execute(empty, 'CREATE TABLE other ("Kind" kind)')
    assert (
        inspect(empty).summary
        == "enum kind lacks 'csv_import'; other.\"Kind\" will accept it too, by the same type"
    )


def test_columns_that_share_a_type_are_admitted_one_after_the_other(empty: Database) -> None:
    """Both were inspected before either was changed."""
    load(empty, TYPES["domain, several"])
    found = inspect(empty).obstacles
    deploy(empty, found)
    before = empty.dump()
    deploy(empty, found)
    assert empty.dump() == before


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("list", "violates check constraint"),
        ("enum", "invalid input value for enum"),
        ("domain", "violates check constraint"),
        ("lookup", "it is not in lookup"),
        ("varchar short", "value too long"),
        ("whole row", "rejects it"),
        ("rejected with the defaults", "violates check constraint"),
    ],
)
def test_verify_fails_before_the_value_is_admitted(
    empty: Database, name: str, refusal: str
) -> None:
    load(empty, OBSTRUCTED[name])
    with pytest.raises(CalledProcessError) as caught:
        verify(empty, rejected=True)
    assert "expected to accept 'csv_import', found: " in caught.value.stderr
    assert refusal in caught.value.stderr


@pytest.mark.parametrize(("name", "rejected"), [("list", False), ("forbidden", True)])
def test_verify_fails_if_nonsense_fares_otherwise_than_before(
    empty: Database, name: str, rejected: bool
) -> None:
    load(empty, OBSTRUCTED[name])
    deploy(empty, inspect(empty).obstacles)
    with pytest.raises(CalledProcessError) as caught:
        verify(empty, rejected=rejected)
    assert f"expected to {'reject' if rejected else 'accept'} 'no_such'" in caught.value.stderr


def test_verify_tries_a_row_of_the_table_where_the_defaults_are_refused(empty: Database) -> None:
    load(empty, Case(table("text", "d text, CHECK ({c} IN ('a') AND d IS NOT NULL)")))
    execute(empty, "INSERT INTO {t} ({c}, d) VALUES ('a', 'x')")
    deploy(empty, inspect(empty).obstacles)
    verify(empty, rejected=True)


def test_verify_leaves_nothing_behind(empty: Database) -> None:
    load(empty, COMPLEX["sequence"])
    execute(
        empty,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''fired''; END';"
        "CREATE TRIGGER tr BEFORE INSERT ON {t} EXECUTE FUNCTION f()",
    )
    deploy(empty, inspect(empty).obstacles)
    before = empty.dump()
    verify(empty, rejected=True)
    assert empty.dump() == before


def test_verify_knows_a_check_that_is_not_validated(empty: Database) -> None:
    for name, kind in (("list", "check"), ("domain", "domain")):
        load(empty, OBSTRUCTED[name])
        (found,) = inspect(empty).obstacles
        psql(empty, (f"deploy/070_admit_csv_import/{kind}.sql", found.variables))
        with pytest.raises(CalledProcessError) as caught:
            psql(empty, (f"verify/080_validate_csv_import/{kind}.sql", found.variables))
        assert "to be validated, found NOT VALID" in caught.value.stderr
        execute(empty, "DROP SCHEMA {s} CASCADE")


FINDS = {"table_parameter": "connections_table", "column_parameter": "source_type_column"}


def test_finds_the_column(empty: Database) -> None:
    load(
        empty,
        Case(
            "CREATE TABLE {t} ({c} text, x int) PARTITION BY LIST (x); CREATE VIEW v AS SELECT 1 "
            "AS {c}"
        ),
    )
    with empty.connect() as conn:
        found = admission.find_column(conn, SCHEMA, ["no", TABLE], ["z", COLUMN], **FINDS)
    assert found == (TABLE, COLUMN)


@pytest.mark.parametrize(
    ("tables", "columns", "said"),
    [
        (
            ["a", "b"],
            ["x"],
            ["which table is meant", "found:    a, b", "-p connections_table NAME"],
        ),
        (
            ["no", "nor"],
            ["x"],
            ["no such table", "expected: one of no, nor", "-p connections_table NAME"],
        ),
        (["v"], ["x"], ["no such table", "found:    v (a view)"]),
        (
            ["a", "v"],
            ["x", "y"],
            ["which column is meant", "found:    x, y", "-p source_type_column NAME"],
        ),
        (["a"], ["no"], ["no such column", "public.a", "found:    none of them"]),
    ],
)
def test_refuses_a_column_that_is_not_plain(
    empty: Database, tables: Sequence[str], columns: Sequence[str], said: Sequence[str]
) -> None:
    empty.load(
        "CREATE TABLE a (x text, y text); CREATE TABLE b (x text); CREATE VIEW v AS SELECT x FROM a"
    )
    with empty.connect() as conn, pytest.raises(Refused) as caught:
        admission.find_column(conn, "public", tables, columns, **FINDS)
    for part in said:
        assert part in str(caught.value)


# Conditions on the columns c and d, as people write them.
TEXTS = st.sampled_from(["a", "b", "csv", "it's", "%", ""]).map(
    lambda text: sql.Literal(text).as_string()
)
LISTS = st.lists(TEXTS, min_size=1, max_size=3).map(", ".join)
ABOUT_C = st.one_of(
    st.builds("c IN ({})".format, LISTS),
    st.builds("c NOT IN ({})".format, LISTS),
    st.builds(
        "c {} {}".format, st.sampled_from(["=", "<>", "<", "IS DISTINCT FROM", "LIKE"]), TEXTS
    ),
    st.sampled_from(
        [
            "c IS NULL",
            "c IS NOT NULL",
            "length(c) < 4",
            "lower(c) = 'a'",
            "c ~ '^[a-c]+$'",
            "c > 'b' IS TRUE",
        ]
    ),
)
ABOUT_D = st.sampled_from(["d = 'a'", "d IS NULL", "d IS NOT NULL", "d <> 'z'"])


FORMS = st.sampled_from(
    [
        "({} AND {})",
        "({} OR {})",
        "NOT ({})",
        "coalesce({}, false)",
        "CASE WHEN {} THEN {} ELSE {} END",
    ]
)


def conditions(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(FORMS, st.lists(inner, min_size=3, max_size=3)).map(
            lambda pair: pair[0].format(*pair[1])
        )

    return st.recursive(atoms, joined, max_leaves=6)


def judged(conn: psycopg.Connection, expression: str) -> dict[tuple[object, object], bool]:
    """Which rows of the pool the CHECK accepts: those for which it is not FALSE."""
    query = sql.SQL("SELECT c::text, d, coalesce(({}), true) FROM pool")
    return {(c, d): accepts for c, d, accepts in conn.execute(query.format(sql.SQL(expression)))}  # type: ignore[arg-type]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    type_=st.sampled_from(["text", "varchar", "varchar(30)", "char(12)"]),
    condition=st.one_of(conditions(ABOUT_C), conditions(st.one_of(ABOUT_C, ABOUT_D))),
)
def test_any_check_admits_exactly_one_more_value(
    session: psycopg.Connection, type_: str, condition: str
) -> None:
    with session.transaction(force_rollback=True):
        session.execute(f"CREATE TABLE t (c {type_}, d text, CONSTRAINT k CHECK ({condition}))")
        session.execute("CREATE TABLE pool (LIKE t)")
        session.execute(
            "INSERT INTO pool SELECT c, d FROM unnest(%s::text[]) c, unnest(%s::text[]) d",
            [list(POOL), [None, "a", "z"]],
        )
        before = judged(session, definition(session))
        found = admission.inspect(session, "public", "t", "c", VALUE)
        if found.problems:
            assert "d" in condition
            return
        for obstacle in found.obstacles:
            session.execute(
                Script.read(
                    RUNBOOK / f"deploy/070_admit_csv_import/{obstacle.variant}.sql", RUNBOOK
                ).render(obstacle.variables)
            )
        after = judged(session, definition(session))
        changed = {row for row in before if before[row] != after[row]}
        assert {c.rstrip() for c, _ in changed} <= {VALUE}
        assert all(after[row] for row in changed)
        assert admission.inspect(session, "public", "t", "c", VALUE).accepts
        assert "d" in condition or after[VALUE, None]


def definition(conn: psycopg.Connection) -> str:
    row = conn.execute(
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'k'"
    ).fetchone()
    assert row
    return str(row[0])


@pytest.fixture
def session(empty: Database) -> Iterator[psycopg.Connection]:
    with empty.connect() as conn:
        yield conn
