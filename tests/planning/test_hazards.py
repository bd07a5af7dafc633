"""What the catalog knows of a hazard: PostgreSQL does what was foretold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pglast import parse_sql
from support import databases
from support.databases import Database

from pgrunbook.planning import hazards
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.hazards import Risk
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source
from pgrunbook.sqltext.held_locks import locked_out

pytestmark = pytest.mark.newest

Assess = Callable[..., list[Risk]]


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as database:
        yield database


def decided(folder: Path, sql: str, header: str = "") -> Decision:
    path = folder / "deploy" / "010_change.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"-- title: Change\n{header}\n{sql};\n")
    block = Source.read(folder).block("010_change", {})
    return Decision(block, Action.APPLY, "absent", tuple(range(len(block.statements))))


@pytest.fixture
def assess(database: Database, tmp_path: Path) -> Assess:
    """The risks of SQL in the database."""

    def assessed(*blocks: str, header: str = "", schema: str = "public") -> list[Risk]:
        with connect(
            Target("test", database.conninfo), schema=schema, label="test", read_only=True
        ) as conn:
            made = [decided(tmp_path, sql, header) for sql in blocks]
            return hazards.assess(conn, schema, made)

    return assessed


def told(risks: list[Risk]) -> list[str]:
    return [f"{risk.name} {risk.concerns}" for risk in risks]


# -- rewrites

TYPES = [
    ("varchar(20)", "varchar(30)"), ("varchar(20)", "varchar(10)"), ("varchar(20)", "varchar"),
    ("varchar(20)", "text"), ("varchar", "text"), ("text", "varchar"), ("text", "varchar(20)"),
    ("char(5)", "char(9)"), ("char(5)", "text"), ("char(5)", "varchar(5)"), ("text", "char(5)"),
    ("numeric(10,2)", "numeric(12,2)"), ("numeric(10,2)", "numeric(12,3)"), ("numeric(10,2)", "numeric"),
    ("numeric(10,2)", "numeric(8,2)"), ("numeric", "numeric(10,2)"), ("numeric(10)", "numeric(12)"),
    ("int", "bigint"), ("bigint", "int"), ("int", "numeric"), ("int", "text"), ("int", "oid"),
    ("bit(4)", "bit(8)"), ("varbit(4)", "varbit(8)"), ("varbit(8)", "varbit(4)"), ("varbit(4)", "varbit"),
    ("timestamp(3)", "timestamp(6)"), ("timestamp(3)", "timestamp"), ("timestamp", "timestamp(3)"),
    ("timestamp", "timestamp(6)"), ("timestamptz(3)", "timestamptz(4)"), ("time(3)", "time(5)"),
    ("time(5)", "time(3)"), ("timetz(3)", "timetz(5)"), ("interval(3)", "interval(6)"), ("interval", "interval(3)"),
    ("timestamp", "timestamptz"), ("date", "timestamp"), ("json", "jsonb"), ("jsonb", "json"),
    ("varchar(20)[]", "text[]"), ("text[]", "text[]"), ("int[]", "bigint[]"), ("cidr", "inet"), ("xml", "text"),
    ("mood", "mood"), ("email", "text"), ("text", "email"), ("text", "name_of"), ("name_of", "text"),
]  # fmt: skip


def rewritten(database: Database, *statements: str) -> bool:
    """Whether the table has another file afterwards: PostgreSQL is the judge."""
    find = "SELECT pg_relation_filenode('t')"
    before = database.execute(find)
    for statement in statements:
        database.execute(statement)
    return database.execute(find) != before


NAMED_TYPES = """
CREATE TYPE mood AS ENUM ('a');
CREATE DOMAIN email AS text CHECK (value <> '');
CREATE DOMAIN name_of AS text
"""
CAST_BY_HAND = {("json", "jsonb"), ("jsonb", "json"), ("text", "char(5)")}


def test_whether_a_type_rewrites_the_table_is_foretold(database: Database, assess: Assess) -> None:
    database.load(NAMED_TYPES)
    wrong = []
    for old, new in TYPES:
        database.load(f"DROP TABLE IF EXISTS t; CREATE TABLE t (c {old})")
        using = f" USING c::{new}" if (old, new) in CAST_BY_HAND else ""
        alter = f"ALTER TABLE t ALTER c TYPE {new}{using}"
        foretold = [risk.name for risk in assess(alter) if risk.hazard == "rewrites_table"]
        possible = ["rewrites_table"] if rewritten(database, alter) else []
        if foretold not in (possible, ["may: rewrites_table"]):
            wrong.append((old, new, foretold))
    assert wrong == []


def test_most_types_are_certain(database: Database, assess: Assess) -> None:
    """Else the test above would pass with a shrug."""
    certain = 0
    database.load(f"{NAMED_TYPES}; CREATE TABLE t ()")
    for number, (old, new) in enumerate(TYPES):
        database.execute(f"ALTER TABLE t ADD c{number} {old}")
        found = told(assess(f"ALTER TABLE t ALTER c{number} TYPE {new}"))
        certain += not any(text.startswith("may") for text in found)
    assert certain >= len(TYPES) - 10


COLUMNS = [
    "int DEFAULT 1", "int DEFAULT 1 NOT NULL", "timestamptz DEFAULT now()", "timestamptz DEFAULT clock_timestamp()",
    "uuid DEFAULT gen_random_uuid()", "float DEFAULT random()", "int DEFAULT steady()", "int DEFAULT shaky()",
    "serial", "int GENERATED ALWAYS AS IDENTITY", "int GENERATED ALWAYS AS (1) STORED", "email", "name_of",
    "email DEFAULT 'x'", "text DEFAULT lower('X')", "numeric(4,2)", "int REFERENCES other", "timestamptz DEFAULT CURRENT_TIMESTAMP",
]  # fmt: skip


def test_whether_a_new_column_rewrites_the_table_is_foretold(
    database: Database, assess: Assess
) -> None:
    database.load(
        f"{NAMED_TYPES}; CREATE FUNCTION steady() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';"
        "CREATE FUNCTION shaky() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';"
        "CREATE TABLE other (id int PRIMARY KEY)"
    )
    wrong = []
    for definition in COLUMNS:
        database.load("DROP TABLE IF EXISTS t; CREATE TABLE t (id int)")
        add = f"ALTER TABLE t ADD c {definition}"
        foretold = [risk.name for risk in assess(add) if risk.hazard == "rewrites_table"]
        if foretold != ["rewrites_table"] * rewritten(database, add):
            wrong.append((definition, foretold))
    assert wrong == []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("ALTER TABLE t SET UNLOGGED", True), ("ALTER TABLE t SET LOGGED", False),
        ("ALTER TABLE t SET TABLESPACE pg_default", False), ("ALTER TABLE t SET ACCESS METHOD heap", False),
        ("CLUSTER t USING t_pkey", True), ("REINDEX TABLE t", False), ("ALTER TABLE t SET (fillfactor = 70)", False),
    ],
)  # fmt: skip
def test_whether_storage_is_changed_is_foretold(
    database: Database, assess: Assess, change: str, again: bool
) -> None:
    database.load("CREATE TABLE t (id int PRIMARY KEY)")
    assert ("rewrites_table" in [risk.name for risk in assess(change)]) == again
    assert rewritten(database, change) == again


# -- scans


def scanned(database: Database, *statements: str) -> str:
    """What is locked out of `t` while one of these reads its rows: `reads`, `writes` or nothing."""
    mode = "SELECT mode FROM pg_locks WHERE relation = 't'::regclass AND pid = pg_backend_pid()"
    count = "SELECT sum(pg_stat_get_xact_numscans(oid)) FROM pg_class WHERE relname IN ('t', 't_1')"
    with database.connect() as conn, conn.transaction(force_rollback=True):
        for statement in statements:
            ((before,),) = conn.execute(count).fetchall()
            conn.execute(statement.encode())
            ((after,),) = conn.execute(count).fetchall()
            if after > before:
                modes = {row[0] for row in conn.execute(mode)}
                return "reads" if "AccessExclusiveLock" in modes else "writes"
    return ""


@pytest.mark.parametrize(
    ("made", "statements", "certain"),
    [
        # CHECKs and indexes that a new type has made anew
        ("CREATE TABLE t (c varchar(20), CHECK (c <> ''))", ["ALTER c TYPE varchar(30)"], True),
        ("CREATE TABLE t (c varchar(20)); CREATE INDEX ON t (c)", ["ALTER c TYPE varchar(30)"], True),
        ("CREATE TABLE t (c varchar(20)); CREATE INDEX ON t (c)", ["ALTER c TYPE text"], True),
        ("CREATE TABLE t (c text UNIQUE)", ["ALTER c TYPE varchar"], True),
        ("CREATE TABLE t (c cidr PRIMARY KEY)", ["ALTER c TYPE inet"], True),
        ("CREATE TABLE t (c int PRIMARY KEY)", ["ALTER c TYPE oid"], True),
        ("CREATE TABLE t (c int)", ["ALTER c TYPE oid"], True),
        ("CREATE TABLE t (c text); CREATE INDEX ON t (lower(c))", ["ALTER c TYPE varchar"], True),
        ("CREATE TABLE t (c text, d int); CREATE INDEX ON t (d) WHERE c <> ''", ["ALTER c TYPE text"], True),
        ("CREATE TABLE t (c text, d int, CHECK (d > 0)); CREATE INDEX ON t (d)", ["ALTER c TYPE varchar"], True),
        ("CREATE TABLE t (c text); ALTER TABLE t ADD CHECK (c <> '') NOT VALID", ["ALTER c TYPE varchar"], True),
        ("CREATE TABLE t (c text UNIQUE)", ['ALTER c TYPE text COLLATE "C"'], True),
        ("CREATE TABLE t (c text)", ['ALTER c TYPE text COLLATE "C"'], True),
        ('CREATE TABLE t (c text COLLATE "C" UNIQUE)', ["ALTER c TYPE text"], True),
        ('CREATE TABLE t (c text COLLATE "C" UNIQUE)', ['ALTER c TYPE varchar COLLATE "C"'], True),
        ('CREATE TABLE t (c text); CREATE INDEX ON t (c COLLATE "C")', ['ALTER c TYPE text COLLATE "POSIX"'], True),
        ("CREATE TABLE t (c text); CREATE TABLE t_1 (CHECK (c <> '')) INHERITS (t)", ["ALTER c TYPE varchar"], True),
        # the strongest lock of one statement
        ("CREATE TABLE t (c int); CREATE TABLE u (c int PRIMARY KEY)", ["ADD FOREIGN KEY (c) REFERENCES u"], True),
        ("CREATE TABLE t (c int); CREATE TABLE u (c int PRIMARY KEY)", ["ADD FOREIGN KEY (c) REFERENCES u, ADD d int"], True),
        ("CREATE TABLE t (c int); ALTER TABLE t ADD CONSTRAINT k CHECK (c > 0) NOT VALID", ["VALIDATE CONSTRAINT k, ADD d int"], True),
        # what the catalog has still
        ("CREATE TABLE t (c int NOT NULL)", ["ALTER c SET NOT NULL"], True),
        ("CREATE TABLE t (c int NOT NULL)", ["ALTER c DROP NOT NULL", "ALTER c SET NOT NULL"], False),
        ("CREATE TABLE t (c int NOT NULL)", ["ALTER c SET NOT NULL, ALTER c DROP NOT NULL"], False),
        ("CREATE TABLE t (c int, CONSTRAINT k CHECK (c IS NOT NULL))", ["DROP CONSTRAINT k", "ALTER c SET NOT NULL"], False),
    ],
)  # fmt: skip
def test_whether_rows_are_read_under_a_lock_is_foretold(
    database: Database, assess: Assess, made: str, statements: list[str], certain: bool
) -> None:
    database.load(f"{made}; INSERT INTO t (c) SELECT NULL WHERE false")
    alter = [f"ALTER TABLE t {each}" for each in statements]
    risks = [each for each in assess(";".join(alter)) if "t" in each.danger.thing]
    found = {each.name for each in risks}
    lock = scanned(database, *alter)
    may = "" if certain else "may: "
    assert (f"{may}scans_under_lock" in found) == bool(lock)
    for kept_out in ("reads", "writes"):
        assert (f"{may}locks_out_{kept_out}" in found) == (lock == kept_out)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("", ["scans_under_lock"]),
        ("ALTER TABLE t ALTER c SET NOT NULL", []),
        ("ALTER TABLE t ADD CHECK (c IS NOT NULL)", []),
        ("ALTER TABLE t ADD CHECK (c IS NOT NULL) NOT VALID", ["scans_under_lock"]),
        ("ALTER TABLE t ADD CHECK (c IS NOT NULL AND c > 0)", ["may: scans_under_lock"]),
        ("ALTER TABLE t ADD CHECK (c > 0)", ["scans_under_lock"]),
    ],
)
def test_a_column_without_null_is_not_scanned_for_it(
    database: Database, assess: Assess, there: str, expected: list[str]
) -> None:
    database.load(f"CREATE TABLE t (c int); {there}")
    found = assess("ALTER TABLE t ALTER c SET NOT NULL")
    assert [risk.name for risk in found if risk.hazard == "scans_under_lock"] == expected


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("CREATE UNIQUE INDEX i ON t (c)", ["scans_under_lock"]),
        ("CREATE UNIQUE INDEX i ON t (d)", []),
        ("CREATE UNIQUE INDEX i ON t (d) INCLUDE (c)", []),
        ("CREATE UNIQUE INDEX i ON t (d, c)", ["scans_under_lock"]),
        ("CREATE UNIQUE INDEX i ON t (c); ALTER TABLE t ALTER c SET NOT NULL", []),
        # a CHECK may say that there is none; an index of a block before may be on any column
        ("CREATE UNIQUE INDEX i ON t (c); ALTER TABLE t ADD CHECK (c IS NOT NULL)", ["may: scans_under_lock"]),
        ("CREATE INDEX other ON t (c)", ["may: scans_under_lock"]),
    ],
)  # fmt: skip
def test_a_key_of_columns_that_may_be_null_is_scanned_for_it(
    database: Database, assess: Assess, there: str, expected: list[str]
) -> None:
    database.load(f"CREATE TABLE t (c int, d int NOT NULL); {there}")
    found = assess("ALTER TABLE t ADD PRIMARY KEY USING INDEX i")
    assert [risk.name for risk in found if risk.hazard == "scans_under_lock"] == expected


def test_a_partition_that_joins_is_scanned_and_the_default_one_too(
    database: Database, assess: Assess
) -> None:
    database.load("CREATE TABLE t (c int) PARTITION BY LIST (c); CREATE TABLE p (c int)")
    attach = "ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)"
    assert told(assess(attach)) == ["scans_under_lock table p", "locks_out_reads table p"]
    create = "CREATE TABLE q PARTITION OF t FOR VALUES IN (2)"
    assert assess(create) == []
    database.load("CREATE TABLE d PARTITION OF t DEFAULT; ALTER TABLE p ADD CHECK (c = 1)")
    default = ["scans_under_lock table t", "locks_out_reads table t"]
    assert told(assess(create)) == default
    assert told(assess(attach)) == [
        "may: scans_under_lock table p",
        "may: locks_out_reads table p",
        *default,
    ]


# -- what is concerned


def test_how_much_it_is_and_what_depends_on_it(database: Database, assess: Assess) -> None:
    database.load(
        """
        CREATE TABLE deals (id int PRIMARY KEY, note text, size int);
        INSERT INTO deals SELECT n, 'x', n FROM generate_series(1, 3000) AS n;
        CREATE TABLE lines (id int PRIMARY KEY, deal int CONSTRAINT lines_deal REFERENCES deals);
        CREATE VIEW noted AS SELECT note FROM deals;
        CREATE MATERIALIZED VIEW sizes AS SELECT size FROM deals;
        CREATE POLICY own ON lines USING (EXISTS (SELECT FROM deals WHERE deals.id = deal));
        CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION sales FOR TABLE deals;
        CREATE FUNCTION total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(size) FROM deals; END;
        CREATE INDEX by_note ON deals (note)
        """
    )
    database.execute("ANALYZE deals")
    (dropped,) = assess("DROP TABLE deals")
    assert dropped.size is not None
    assert dropped.size.rows == 3000
    assert dropped.size.bytes > 100_000
    assert dropped.dependents == (
        "foreign key lines_deal of lines",
        "function total()",
        "materialized view sizes",
        "policy own of lines",
        "publication everything",
        "publication sales",
        "view noted",
    )
    (column,) = assess("ALTER TABLE deals DROP COLUMN note")
    assert column.dependents == ("index by_note", "view noted")
    (view,) = assess("DROP VIEW noted")
    assert view.size is None
    (key,) = assess("ALTER TABLE deals DROP COLUMN id")
    assert key.dependents == (
        "constraint deals_pkey",
        "foreign key lines_deal of lines",
        "policy own of lines",
    )


def test_on_a_constraint_depends_what_needs_it(database: Database, assess: Assess) -> None:
    database.load(
        """
        CREATE TABLE deals (id int PRIMARY KEY, size int CONSTRAINT small CHECK (size < 9));
        CREATE TABLE lines (deal int CONSTRAINT lines_deal REFERENCES deals);
        CREATE VIEW sizes AS SELECT size FROM deals;
        CREATE VIEW per_deal AS SELECT id, size FROM deals GROUP BY id;
        CREATE PUBLICATION sales FOR TABLE deals
        """
    )
    (check,) = assess("ALTER TABLE deals DROP CONSTRAINT small")
    assert check.dependents == ()
    (key,) = assess("ALTER TABLE deals DROP CONSTRAINT deals_pkey")
    assert key.dependents == ("foreign key lines_deal of lines", "view per_deal")


def test_of_a_partitioned_table_all_partitions_count(database: Database, assess: Assess) -> None:
    database.load(
        """
        CREATE TABLE t (c int) PARTITION BY LIST (c);
        CREATE TABLE p PARTITION OF t FOR VALUES IN (1);
        CREATE TABLE q PARTITION OF t FOR VALUES IN (2);
        INSERT INTO t SELECT 1 + n % 2 FROM generate_series(1, 1000) AS n
        """
    )
    (unknown,) = assess("DELETE FROM t")
    assert unknown.size is not None
    assert str(unknown.size).startswith("an unknown number of rows, ")
    database.execute("ANALYZE")
    (known,) = assess("DELETE FROM t")
    assert known.size is not None
    assert known.size.rows == 1000
    assert known.dependents == ("2 child tables",)
    assert known.concerns == "table t (every row)"


def test_of_a_foreign_table_nobody_knows_the_size(database: Database, assess: Assess) -> None:
    database.load(
        """
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
        CREATE FOREIGN TABLE far (a int) SERVER s;
        CREATE TABLE t (c int) PARTITION BY LIST (c);
        CREATE FOREIGN TABLE p PARTITION OF t FOR VALUES IN (1) SERVER s;
        CREATE TABLE near (a int)
        """
    )
    risks = assess("DELETE FROM far; DELETE FROM t; DELETE FROM near")
    unknown = "an unknown number of rows"
    assert [str(each.size) for each in risks] == [unknown, unknown, "0 bytes"]


def test_what_is_not_there_is_at_no_risk(database: Database, assess: Assess) -> None:
    database.load("CREATE TABLE t (c int)")
    assert assess("DROP TABLE IF EXISTS u") == []
    assert assess("ALTER TABLE IF EXISTS u DROP CONSTRAINT k") == []
    assert assess("ALTER TABLE t DROP COLUMN IF EXISTS d, DROP CONSTRAINT IF EXISTS k") == []
    assert assess("DROP TRIGGER IF EXISTS g ON t", "CREATE INDEX i ON u (c)") == []
    assert assess("ALTER TABLE t ADD COLUMN IF NOT EXISTS c serial") == []


def test_names_are_looked_up_as_the_block_does(database: Database, assess: Assess) -> None:
    database.load("CREATE SCHEMA app; CREATE TABLE app.t (c int); CREATE TABLE public.u (c int)")
    assert assess("DROP TABLE t") == []
    assert told(assess("DROP TABLE app.t")) == ["drops_table table app.t"]
    path = "-- search_path: app, public"
    assert told(assess("DROP TABLE t, u", header=path)) == [
        "drops_table table t",
        "drops_table table u",
    ]


APP = "CREATE SCHEMA app; CREATE TABLE app.q (id int, v text); CREATE TABLE public.u (c int)"


@pytest.mark.parametrize(
    "path",
    [
        "SET LOCAL search_path = app",
        "SELECT set_config('search_path', 'app', true)",
        "SELECT set_config('search_path', concat('a', 'pp'), true)",
        "DO $$ BEGIN SET LOCAL search_path = app; END $$",
    ],
)
@pytest.mark.parametrize(
    ("change", "hazard"),
    [
        ("DROP TABLE q", "drops_table table q"),
        ("DELETE FROM q", "deletes_rows table q (every row)"),
        ("ALTER TABLE q DROP COLUMN v", "drops_column column q.v"),
    ],
)
def test_names_are_looked_up_where_the_block_has_them_looked_up(
    database: Database, assess: Assess, path: str, change: str, hazard: str
) -> None:
    database.load(APP)
    assert told(assess(change)) == []
    assert [risk for risk in told(assess(f"{path};\n{change}")) if "runs_code" not in risk] == [
        hazard
    ]


def test_the_schema_of_a_user_is_that_of_the_headers_role(
    database: Database, assess: Assess
) -> None:
    database.load(APP)
    header = '-- search_path: "$user"\n-- role: app'
    assert told(assess("DROP TABLE q", header=header)) == ["drops_table table q"]
    change = 'SET LOCAL search_path = "$user";\nDROP TABLE q'
    assert told(assess(change, header="-- role: app")) == ["drops_table table q"]
    assert told(assess(change)) == []


def test_no_name_is_found_along_a_path_without_schemas(database: Database, assess: Assess) -> None:
    database.load(APP)
    change = "SET LOCAL search_path = '';\nDROP TABLE u;\nDROP TABLE app.q"
    assert told(assess(change)) == ["drops_table table app.q"]


def test_where_several_are_called_so_and_no_path_tells_one_may_be_meant(
    database: Database, assess: Assess
) -> None:
    database.load(APP)
    change = "DO $$ BEGIN END $$;\nDELETE FROM {0};\nALTER TABLE {0} DROP COLUMN v"
    database.load(
        "CREATE SCHEMA other; CREATE TABLE other.q (id int); CREATE TABLE public.q (id int)"
    )
    assert told(assess(change.format("q")))[1:] == [
        "may: deletes_rows table q (every row)",
        "may: drops_column column q.v",
    ]
    assert told(assess(change.format("app.q")))[1:] == [
        "deletes_rows table app.q (every row)",
        "drops_column column app.q.v",
    ]
    assert told(assess(change.format("absent")))[1:] == []
    database.load(
        "CREATE TYPE mood AS ENUM (); CREATE TYPE other.mood AS ENUM (); CREATE TABLE m (m other.mood)"
    )
    assert told(assess("CALL p();\nDROP TYPE mood CASCADE"))[1:] == [
        "drops_other type mood (CASCADE)",
        "may: drops_column type mood (CASCADE)",
    ]


def test_what_an_earlier_block_has_renamed_is_known_by_its_name_of_now(
    database: Database, assess: Assess
) -> None:
    database.load("CREATE TABLE big (id int, v int); INSERT INTO big VALUES (1, 2)")
    renames = (
        "ALTER TABLE big RENAME TO old;\nALTER TABLE old RENAME v TO w;\nCREATE TABLE big (id int)"
    )
    later = ("ALTER TABLE old DROP COLUMN w", "DELETE FROM big", "DROP TABLE old")
    found = assess(renames, *later)
    assert told(found)[2:] == [
        "drops_column column big.v (as old.w)",
        "drops_table table big (as old)",
    ]
    assert found[-1].size is not None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("TRUNCATE n.q", ["truncates table app.q (as n.q)"]),
        ("SET LOCAL search_path = n;\nDROP TABLE q", ["drops_table table q"]),
        ("DROP SCHEMA n", ["drops_other schema app (as n)"]),
        ("DROP SCHEMA n CASCADE", ["drops_other schema app (CASCADE, as n)", "drops_table schema app (CASCADE, as n)"]),
    ],
)  # fmt: skip
def test_what_lies_in_a_schema_that_was_renamed_is_known(
    database: Database, assess: Assess, change: str, expected: list[str]
) -> None:
    database.load(APP)
    assert told(assess("ALTER SCHEMA app RENAME TO n", change))[1:] == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("DELETE FROM p", ["deletes_rows table t (every row, as p)"]),
        ("TRUNCATE p", ["truncates table t (as p)"]),
        ("DROP TABLE p", ["drops_table table t (as p)"]),
        ("ALTER TABLE p DROP COLUMN v", ["drops_column column t.v (as p.v)"]),
    ],
)
def test_a_parent_that_a_block_made_has_the_rows_of_what_was_there(
    database: Database, assess: Assess, change: str, expected: list[str]
) -> None:
    database.load("CREATE TABLE t (c int, v int)")
    join = (
        "CREATE TABLE p (LIKE t) PARTITION BY LIST (c);\nALTER TABLE p ATTACH PARTITION t DEFAULT"
    )
    assert told(assess(join, change))[2:] == expected


def test_a_block_may_see_its_own_schema_behind_one_that_has_renamed(
    database: Database, assess: Assess
) -> None:
    database.load(
        "CREATE SCHEMA app; CREATE TABLE app.q (id int); CREATE TABLE public.old (id int)"
    )
    found = assess("SET LOCAL search_path = app;\nALTER TABLE q RENAME TO old", "DROP TABLE old")
    assert told(found)[1:] == ["drops_table table q (as old)", "drops_table table old"]


@pytest.mark.parametrize(
    ("there", "change", "expected"),
    [
        ("", "INSERT INTO t VALUES (1)", []),
        ("CREATE RULE r AS ON INSERT TO t DO INSTEAD DELETE FROM u", "INSERT INTO t VALUES (1)", ["insert"]),
        ("CREATE RULE r AS ON INSERT TO t DO INSTEAD DELETE FROM u", "UPDATE t SET c = 1", []),
        ("CREATE TRIGGER g BEFORE UPDATE ON t EXECUTE FUNCTION f()", "UPDATE t SET c = 1", ["update"]),
        ("CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()", "COPY t FROM '/x'", ["insert"]),
        ("CREATE TRIGGER g AFTER TRUNCATE ON t EXECUTE FUNCTION f()", "TRUNCATE t", ["truncate"]),
        ("CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER g", "INSERT INTO t VALUES (1)", []),
    ],
)  # fmt: skip
def test_the_code_that_a_written_table_has_run_is_told(
    database: Database, assess: Assess, there: str, change: str, expected: list[str]
) -> None:
    database.load(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        f"CREATE TABLE t (c int); CREATE TABLE u (c int); {there}"
    )
    found = [risk for risk in told(assess(change)) if risk.startswith("runs_code")]
    assert found == ["runs_code rules and triggers of t" for _ in expected]


@pytest.mark.parametrize(
    "reading",
    ["SELECT * FROM {}", "INSERT INTO t SELECT * FROM {}", "DECLARE c CURSOR FOR TABLE {}"],
)
def test_the_code_that_a_view_has_run_is_told(
    database: Database, assess: Assess, reading: str
) -> None:
    database.load(
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; CREATE TABLE t (c int);"
        "CREATE FUNCTION steady() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';"
        "CREATE VIEW v AS SELECT f() AS c; CREATE VIEW w AS SELECT c FROM v; CREATE MATERIALIZED VIEW m AS TABLE v;"
        "CREATE VIEW x AS SELECT c, steady() AS s FROM m"
    )
    for view in "vw":
        assert told(assess(reading.format(view))) == [f"runs_code rules and triggers of {view}"]
    for plain in "mxt":
        assert told(assess(reading.format(plain))) == []


def test_only_functions_that_may_write_are_code(database: Database, assess: Assess) -> None:
    database.load("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE s")
    assert told(assess("SELECT f(), setval('s', 1), lower('x')")) == [
        "runs_code function f",
        "runs_code function setval",
    ]
    assert told(assess("SELECT not_yet_there()")) == ["may: runs_code function not_yet_there"]


TAKING = """
CREATE SCHEMA s; CREATE TABLE s.t (id int); CREATE SCHEMA bare; CREATE FUNCTION bare.f() RETURNS int RETURN 1;
CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN age AS int; CREATE TYPE unused AS ENUM ('x');
CREATE TABLE u (m mood[], a age); CREATE VIEW v AS SELECT m FROM u; CREATE TABLE w (v v);
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE RETURN $1 * 2;
CREATE TABLE g (a int, b int GENERATED ALWAYS AS (twice(a)) STORED, c int DEFAULT twice(1))
"""


@pytest.mark.parametrize(
    ("drop", "taken"),
    [
        ("DROP SCHEMA s CASCADE", ["drops_table"]),
        ("DROP SCHEMA bare CASCADE", []),
        ("DROP TYPE mood CASCADE", ["drops_column"]),
        ("DROP TYPE unused CASCADE", []),
        ("DROP DOMAIN age CASCADE", ["drops_column"]),
        ("DROP VIEW v CASCADE", ["drops_column"]),
        ("DROP FUNCTION twice CASCADE", ["drops_column"]),
        ("DROP OWNED BY owner_of_one", ["drops_table"]),
        ("DROP OWNED BY owner_of_none", []),
        ("DROP EXTENSION plpgsql CASCADE", []),
    ],
)
def test_the_tables_and_columns_that_go_along_are_dropped(
    database: Database, assess: Assess, drop: str, taken: list[str]
) -> None:
    """As PostgreSQL drops them."""
    database.load(TAKING)
    roles = {
        name: databases.login_role(database).name for name in ("owner_of_one", "owner_of_none")
    }
    database.load(
        f"CREATE TABLE owned (id int); ALTER TABLE owned OWNER TO {roles['owner_of_one']}"
    )
    for name, role in roles.items():
        drop = drop.replace(name, role)
    count = """SELECT (SELECT count(*) FROM pg_class WHERE relkind = 'r'),
                      (SELECT count(*) FROM pg_attribute WHERE NOT attisdropped AND attnum > 0
                          AND attrelid IN ('g'::regclass, 'u'::regclass, 'w'::regclass))"""
    foretold = [risk.name for risk in assess(drop) if risk.hazard != "drops_other"]
    before = database.execute(count)[0]
    database.load(drop)
    after = database.execute(count)[0]
    judged = ["drops_table"] * (after[0] < before[0]) + ["drops_column"] * (after[1] < before[1])
    assert foretold == judged == taken


WITH_OTHERS = """
CREATE SCHEMA s; CREATE TABLE orders (id int PRIMARY KEY, total numeric, note text, double numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE lines (id int PRIMARY KEY, orders_id int CONSTRAINT refers REFERENCES orders, other int);
CREATE VIEW totals AS SELECT total FROM orders; CREATE MATERIALIZED VIEW sums AS SELECT sum(total) FROM totals;
CREATE TABLE of_view (t totals); CREATE POLICY p ON lines USING (EXISTS (SELECT FROM orders WHERE note = 'x'));
CREATE INDEX ON orders (total); ALTER TABLE orders ADD CHECK (note <> '');
CREATE TYPE pair AS (a int, b int); CREATE TABLE typed OF pair; CREATE VIEW pairs AS SELECT a FROM typed;
CREATE SEQUENCE q; ALTER TABLE lines ALTER other SET DEFAULT nextval('q');
CREATE TABLE child () INHERITS (orders); CREATE VIEW of_child AS SELECT total FROM child;
CREATE TYPE mood AS ENUM ('good'); CREATE TABLE s.m (m mood); CREATE VIEW s.moods AS SELECT m FROM s.m;
"""


@pytest.mark.parametrize(
    ("drop", "hazards"),
    [
        ("ALTER TABLE orders DROP COLUMN total CASCADE", {"drops_other"}),
        ("ALTER TABLE orders DROP COLUMN note CASCADE", {"drops_other"}),
        ("ALTER TABLE lines DROP COLUMN other CASCADE", set()),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE", set()),
        ("ALTER TYPE pair DROP ATTRIBUTE a CASCADE", {"drops_column"}),
        ("ALTER TYPE pair DROP ATTRIBUTE b CASCADE", {"drops_column"}),
        ("DROP TABLE lines CASCADE", set()),
        ("DROP TABLE orders, lines CASCADE", {"drops_column", "drops_other"}),
        ("DROP VIEW totals CASCADE", {"drops_column"}),
        ("DROP SEQUENCE q CASCADE", set()),
        ("DROP TYPE mood CASCADE", {"drops_column"}),
        ("DROP SCHEMA s CASCADE", {"drops_table"}),
    ],
)  # fmt: skip
def test_what_goes_along_is_named_with_its_own_hazard(
    database: Database, assess: Assess, drop: str, hazards: set[str]
) -> None:
    """As PostgreSQL names it where it drops it."""
    database.load(WITH_OTHERS)
    found = assess(drop)
    named = {each for risk in found for each in risk.dependents}
    with database.connect() as conn:
        notices: list[str] = []
        conn.add_notice_handler(
            lambda told: notices.extend(
                (told.message_detail or told.message_primary or "").splitlines()
            )
        )
        conn.execute("SET client_min_messages = notice")
        conn.execute(drop.encode())
    dropped = {each.removeprefix("drop cascades to ") for each in notices if "cascades" in each}
    dropped -= {each for each in dropped if each.endswith("other objects")}
    assert dropped <= named
    assert {str(risk.hazard) for risk in found if risk.danger.along in _ALONG} == hazards


_ALONG = ("table", "column", "other")


@pytest.mark.parametrize(
    ("update", "keys"),
    [
        ("UPDATE a SET total = 1", []),
        ("UPDATE a SET code = 'x'", ["foreign key to_code of c"]),
        ('UPDATE a SET (total, "Id") = (1, 2)', ["foreign key to_id of b"]),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING", []),
        ("DELETE FROM a", ["foreign key to_code of c", "foreign key to_id of b"]),
    ],
)
def test_an_update_names_the_keys_that_refer_to_what_it_sets(
    database: Database, assess: Assess, update: str, keys: list[str]
) -> None:
    database.load(
        'CREATE TABLE a ("Id" int PRIMARY KEY, code text UNIQUE, total numeric);'
        "CREATE TABLE b (a int CONSTRAINT to_id REFERENCES a);"
        "CREATE TABLE c (a text CONSTRAINT to_code REFERENCES a (code))"
    )
    named = [each for risk in assess(update) for each in risk.dependents]
    assert [each for each in named if "foreign key" in each] == keys


def test_a_header_that_accepts_the_column_accepts_no_view(
    database: Database, assess: Assess
) -> None:
    database.load(WITH_OTHERS)
    sql = "ALTER TABLE orders DROP COLUMN total CASCADE"
    left = [risk for risk in assess(sql, header="-- accepts: drops_column") if not risk.accepted]
    assert told(left)[-1] == "drops_other column orders.total (CASCADE)"
    assert {"view totals", "materialized view sums"} <= {*left[-1].dependents}


def test_the_tables_that_are_truncated_along_are_named(database: Database, assess: Assess) -> None:
    """As PostgreSQL names them where it truncates them."""
    database.load(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a);"
        "CREATE TABLE c (id int REFERENCES b); CREATE TABLE d (id int)"
    )
    (plain,), (found,) = assess("TRUNCATE a"), assess("TRUNCATE a CASCADE")
    notices: list[str] = []
    with database.connect() as conn:
        conn.add_notice_handler(lambda told: notices.append(told.message_primary or ""))
        conn.execute("TRUNCATE a CASCADE")
    assert notices == [f'truncate cascades to table "{name}"' for name in "bc"]
    assert found.dependents[:2] == ("table b", "table c")
    assert "table c" not in plain.dependents


def test_only_functions_that_run_code_are_code_in_what_writes_rows(
    database: Database, assess: Assess
) -> None:
    database.load(
        "CREATE TABLE t (id uuid, n int);"
        "CREATE FUNCTION shaky() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"
    )
    plain = "INSERT INTO t VALUES (gen_random_uuid(), nextval('s'))"
    assert told(assess("CREATE SEQUENCE s", plain)) == []
    assert told(assess("INSERT INTO t SELECT NULL, shaky()")) == ["runs_code function shaky"]


LOCKING = (
    "ALTER TABLE t ADD x int", "ALTER TABLE t ALTER c SET STATISTICS 9", "ALTER TABLE t ALTER c SET DEFAULT 1",
    "ALTER TABLE t SET (fillfactor = 70)", "ALTER TABLE t ALTER c SET (n_distinct = 5)", "ALTER TABLE t DISABLE TRIGGER ALL",
    "ALTER TABLE t ENABLE ALWAYS TRIGGER g", "ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES k NOT VALID",
    "ALTER TABLE t ADD y int REFERENCES k", "ALTER TABLE t VALIDATE CONSTRAINT valid", "ALTER TABLE t RENAME TO z",
    "ALTER TABLE t RENAME c TO z", "ALTER TABLE t RENAME CONSTRAINT valid TO z", "ALTER INDEX i RENAME TO z",
    "ALTER TABLE t CLUSTER ON i", "ALTER TABLE t SET WITHOUT CLUSTER", "ALTER TABLE t REPLICA IDENTITY FULL",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE t SET SCHEMA s", "ALTER TABLE t OWNER TO CURRENT_USER",
    "ALTER TABLE t DROP CONSTRAINT valid", "ALTER TABLE t ALTER CONSTRAINT refers DEFERRABLE", "ALTER TABLE t INHERIT k",
    "DROP TRIGGER g ON t", "DROP POLICY p ON t", "ALTER POLICY p ON t USING (false)", "CREATE POLICY q ON t",
    "CREATE TRIGGER h BEFORE INSERT ON t EXECUTE FUNCTION f()", "CREATE RULE r AS ON INSERT TO t DO ALSO SELECT 1",
    "CREATE TABLE n (c int REFERENCES k)", "CREATE TABLE n PARTITION OF d FOR VALUES IN (1)", "CREATE TABLE n () INHERITS (t)",
    "ALTER TABLE d ATTACH PARTITION e FOR VALUES IN (2)", "ALTER TABLE d DETACH PARTITION a", "DROP VIEW v",
    "CREATE OR REPLACE VIEW v AS SELECT 2 AS c", "ALTER VIEW v SET (security_barrier)", "ALTER VIEW v RENAME TO z",
    "COMMENT ON TABLE t IS 'x'", "GRANT SELECT ON t TO PUBLIC", "TRUNCATE t", "DROP TABLE e", "DROP MATERIALIZED VIEW m",
    "ALTER MATERIALIZED VIEW m RENAME TO z", "ALTER TABLE t ALTER c SET STORAGE PLAIN", "INSERT INTO t SELECT * FROM k",
    "ALTER SEQUENCE q INCREMENT 5", "ALTER SEQUENCE q OWNED BY t.c", "DROP SEQUENCE q", "ALTER SEQUENCE q RENAME TO z",
)  # fmt: skip
LOCKED = """
CREATE SCHEMA s; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TABLE k (c int PRIMARY KEY); CREATE TABLE t (c int NOT NULL CONSTRAINT valid CHECK (c > 0) CONSTRAINT refers REFERENCES k);
CREATE UNIQUE INDEX i ON t (c); CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f(); CREATE POLICY p ON t;
CREATE TABLE d (c int) PARTITION BY LIST (c); CREATE TABLE a PARTITION OF d FOR VALUES IN (9); CREATE TABLE e (c int);
CREATE VIEW v AS SELECT 1 AS c; CREATE MATERIALIZED VIEW m AS SELECT 1 AS c;
CREATE SEQUENCE q
"""
HELD = """
SELECT relation::oid, CASE WHEN bool_or(mode = 'AccessExclusiveLock') THEN 'locks_out_reads' ELSE 'locks_out_writes' END
  FROM pg_locks
 WHERE pid = pg_backend_pid() AND locktype = 'relation'
   AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
 GROUP BY relation"""


def test_what_a_statement_locks_others_out_of_is_what_it_locks(database: Database) -> None:
    database.load(LOCKED)
    wrong = []
    with database.connect() as conn:
        there = dict(
            conn.execute(
                "SELECT oid, relname FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'S')"
            )
        )
        for sql in LOCKING:
            (raw,) = parse_sql(sql)
            with conn.transaction(force_rollback=True):
                conn.execute(sql.encode())
                held = dict(conn.execute(HELD))
            found = {name: held[oid] for oid, name in there.items() if oid in held}
            foretold = {thing.name: str(hazard) for hazard, thing in locked_out(raw.stmt)}
            if found != foretold:
                wrong.append((sql, found, foretold))
    assert wrong == []


BESIDE = """
CREATE TABLE big (c int PRIMARY KEY); CREATE TABLE a (c int, k int CONSTRAINT refers REFERENCES big, d int);
CREATE TABLE other (c int); CREATE TABLE work (c int);
CREATE SCHEMA s; CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER g BEFORE INSERT ON other EXECUTE FUNCTION s.f();
CREATE FUNCTION s.allowed(int) RETURNS bool LANGUAGE sql AS 'SELECT true'; CREATE POLICY p ON a USING (s.allowed(c));
CREATE SEQUENCE q; ALTER TABLE other ALTER c SET DEFAULT nextval('q');
CREATE TYPE mood AS ENUM ('good'); ALTER TABLE work ADD m mood; CREATE VIEW v AS SELECT c FROM a; CREATE VIEW w AS SELECT c FROM v;
CREATE RULE r AS ON INSERT TO work DO ALSO INSERT INTO a VALUES (1);
CREATE TABLE d (c int) PARTITION BY LIST (c); CREATE TABLE e PARTITION OF d FOR VALUES IN (9);
CREATE FUNCTION made() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE INDEX i ON d ((made()));
CREATE FUNCTION valid(int) RETURNS bool LANGUAGE sql AS 'SELECT true'; ALTER TABLE other ADD CHECK (valid(c))
"""


@pytest.mark.parametrize(
    ("drop", "beside"),
    [
        ("ALTER TABLE a DROP CONSTRAINT refers", {"big"}),
        ("ALTER TABLE a DROP COLUMN k", {"big"}),
        ("ALTER TABLE a DROP COLUMN d", set()),
        ("ALTER TABLE big ALTER c TYPE bigint", {"a"}),
        ("ALTER TABLE a ALTER k TYPE bigint", {"big"}),
        ("ALTER TABLE a ALTER d TYPE bigint", set()),
        ("ALTER TABLE big DROP CONSTRAINT big_pkey CASCADE", {"a"}),
        ("DROP TABLE a CASCADE", {"big", "work"}),
        ("DROP TABLE big CASCADE", {"a"}),
        ("DROP TABLE e", {"d"}),
        ("DROP FUNCTION s.f() CASCADE", {"other"}),
        ("DROP FUNCTION s.allowed CASCADE", {"a"}),
        ("DROP FUNCTION made CASCADE", {"d", "e"}),
        ("DROP FUNCTION valid CASCADE", {"other"}),
        ("DROP SCHEMA s CASCADE", {"a", "other"}),
        ("DROP SEQUENCE q CASCADE", {"other"}),
        ("DROP TYPE mood CASCADE", {"work"}),
        ("DROP VIEW v CASCADE", set()),
    ],
)
def test_tables_that_stay_are_locked_for_what_goes_along_of_them(
    database: Database, assess: Assess, drop: str, beside: set[str]
) -> None:
    """As PostgreSQL locks them."""
    database.load(BESIDE)
    found = assess(f"{drop}; ANALYZE pg_class")
    told = {each for risk in found if "beside" in risk.concerns for each in risk.dependents}
    with database.connect() as conn, conn.transaction(force_rollback=True):
        conn.execute(drop.encode())
        own = drop.split()[2] if "ALTER TABLE" in drop else ""
        tables = "SELECT relname FROM pg_class WHERE oid = ANY (%s) AND relkind IN ('r', 'p')"
        held = [oid for oid, hazard in conn.execute(HELD) if hazard == "locks_out_reads"]
        judged = {name for (name,) in conn.execute(tables, [held])} - {own}
    assert told == {f"table {name}" for name in judged}
    assert judged == beside


def test_a_lock_that_is_held_while_nothing_takes_long_is_none(
    database: Database, assess: Assess
) -> None:
    database.load("CREATE TABLE a (c varchar(9)); CREATE TABLE b (c varchar(9))")
    lock = "ALTER TABLE a ADD x int"
    assert told(assess(f"{lock}; ALTER TABLE b ALTER c TYPE varchar(10)")) == []
    assert told(assess(f"{lock}; UPDATE absent SET c = 1")) == []
    assert told(assess(f"{lock};\nUPDATE b SET c = 1"))[1:] == [
        "locks_out_reads table a (locked since line 3)"
    ]


@pytest.mark.parametrize(
    ("work", "long"),
    [
        ("INSERT INTO b SELECT generate_series(1, 1500000)", True),
        ("INSERT INTO b SELECT abs(-1)", False),
        ("INSERT INTO b VALUES (now())", False),
        ("INSERT INTO fires VALUES (1)", True),
        ("INSERT INTO b VALUES (1)", False),
        ("UPDATE made SET c = (SELECT count(*) FROM b)", True),
        ("UPDATE made SET c = b.c FROM b", True),
        ("DELETE FROM made USING b", True),
        ("UPDATE made SET c = 1", False),
    ],
)
def test_what_takes_long_without_a_row_that_was_there_holds_locks(
    database: Database, assess: Assess, work: str, long: bool
) -> None:
    database.load(
        "CREATE TABLE a (c int); CREATE TABLE b (c int); CREATE TABLE fires (c int);"
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER g BEFORE INSERT ON fires EXECUTE FUNCTION slow()"
    )
    found = assess(f"CREATE TABLE made (c int); ALTER TABLE a ADD x int; {work}")
    assert ("locks_out_reads" in [risk.name for risk in found]) == long


def test_a_held_lock_is_told_at_the_line_that_takes_long(
    database: Database, assess: Assess
) -> None:
    database.load("CREATE TABLE a (c int); CREATE TABLE b (c int)")
    lock = "ALTER TABLE a ADD x int;\nINSERT INTO b VALUES (abs(1))"
    assert assess(f"{lock};\nSELECT max(c) FROM b")[0].danger.line == 5
    assert assess(f"{lock};\nUPDATE b SET c = 1")[-1].danger.line == 5


def test_what_a_role_owns_is_locked_if_it_owns_a_table(database: Database, assess: Assess) -> None:
    database.load("CREATE TABLE a (c int); CREATE TABLE b (c int)")
    role = databases.login_role(database).name
    change = f"REASSIGN OWNED BY {role} TO CURRENT_USER;\nUPDATE b SET c = 1"
    assert "locks_out_reads" not in [risk.name for risk in assess(change)]
    database.load(f"ALTER TABLE a OWNER TO {role}")
    assert "locks_out_reads" in [risk.name for risk in assess(change)]


def test_who_uses_a_domain_is_told(database: Database, assess: Assess) -> None:
    database.load("CREATE DOMAIN d AS int; CREATE TABLE t (c d)")
    database.load("CREATE DOMAIN over AS d; CREATE TABLE u (c over, b d); CREATE VIEW v AS TABLE t")
    for risk in assess("ALTER DOMAIN d ADD CHECK (value > 0)"):
        assert (risk.certain, risk.dependents) == (True, ("table t", "table u"))
    (scan, _) = assess("ALTER DOMAIN over SET NOT NULL")
    assert scan.dependents == ("table u",)
    database.load("DROP TABLE u; DROP VIEW v")
    assert assess("ALTER DOMAIN over SET NOT NULL") == []


def test_how_long_it_takes_is_told_by_what_the_ledger_has_seen(
    database: Database, assess: Assess
) -> None:
    from pgrunbook.ledger import install

    database.load("CREATE TABLE t (c int); INSERT INTO t SELECT generate_series(1, 400000)")
    (rewrite, _) = assess("ALTER TABLE t SET UNLOGGED")
    assert rewrite.takes == "not known: the ledger has no large rewrite to go by"
    with connect(Target("test", database.conninfo), schema="public", label="test") as conn:
        install.install(conn)
    database.load(
        """
        INSERT INTO pgrunbook.runs (run_id, runbook, schema_name, mode, operator, ticket, parameters, database_user,
                                    server_version, tool_version)
        VALUES ('11111111-2222-3333-4444-555555555555', 'r', 'public', 'apply', 'o', '', '{}', 'u', '18', '0');
        INSERT INTO pgrunbook.statements (run_id, block, number, event, sql, elapsed_ms)
        VALUES ('11111111-2222-3333-4444-555555555555', 'b', 1, 'finished', '…', 1000);
        INSERT INTO pgrunbook.locks (run_id, block, number, relation, mode, held_ms, rewritten)
        VALUES ('11111111-2222-3333-4444-555555555555', 'b', 1, 't', 'ACCESS EXCLUSIVE', 1000, true)
        """
    )
    (rewrite, _) = assess("ALTER TABLE t SET UNLOGGED")
    assert rewrite.takes == "about 1.0 s, at 14 MB/s as t was rewritten by run 11111111"
    (scan, *_) = assess("ALTER TABLE t ADD CHECK (c > 0)")
    assert scan.takes.startswith("at most 1.0 s, ")


def test_the_frame_says_what_is_common_once(database: Database, assess: Assess) -> None:
    database.load("CREATE TABLE t (c int)")
    frame = hazards.frame(
        assess("ALTER TABLE t ALTER c TYPE text", header="-- accepts: rewrites_table")
    )
    (row,) = frame.reset_index().to_dict("records")
    assert row == {
        "block": "010_change",
        "line": "3",
        "hazards": "rewrites_table, locks_out_reads",
        "concerns": "column t.c",
        "size": "0 bytes",
        "dependents": "",
        "takes": "",
        "accepted": "rewrites_table",
    }
