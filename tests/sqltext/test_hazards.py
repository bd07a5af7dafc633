"""Each kind of statement has the hazards that the manual gives it, and no others."""

from __future__ import annotations

import pytest
from pglast import parse_sql

from pgrunbook.sqltext.dangers import dangers
from pgrunbook.sqltext.hazards import Danger, Hazard
from pgrunbook.sqltext.names import Names
from pgrunbook.sqltext.things import FIRED


def found(sql: str, *, transaction: bool = True, names: Names | None = None) -> list[str]:
    """Each hazard as `hazard thing`, with what it is in doubt about; but for rules and triggers, which
    whatever writes rows may fire.
    """
    statements = [(raw.stmt, 1) for raw in parse_sql(sql)]
    return [
        " ".join(
            [d.hazard, str(d.thing), d.detail, *(f"unless {doubt.about}" for doubt in d.doubts)]
        )
        .replace("  ", " ")
        .rstrip()
        for d in dangers(statements, transaction=transaction, names=names)
        if not _may_fire(d) and not (d.during and all(map(_may_fire, d.during)))
    ]


def _may_fire(danger: Danger) -> bool:
    return danger.thing.kind == FIRED and bool(danger.doubts)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # dropped
        ("DROP TABLE t, s.u CASCADE", ["drops_table table t CASCADE", "drops_column table t CASCADE unless taken along", "drops_other table t CASCADE unless taken along", "drops_table table s.u CASCADE", "drops_column table s.u CASCADE unless taken along", "drops_other table s.u CASCADE unless taken along"]),
        ("DROP FOREIGN TABLE t", ["drops_table foreign table t"]),
        ("ALTER TABLE s.t DROP COLUMN c, DROP CONSTRAINT k", ["drops_column column s.t.c", "drops_other constraint k of s.t"]),
        ("ALTER TYPE t DROP ATTRIBUTE a", ["drops_other attribute a of t"]),
        ("DROP VIEW v", ["drops_other view v"]),
        ("DROP MATERIALIZED VIEW s.v", ["drops_other materialized view s.v"]),
        ("DROP INDEX i", ["drops_other index i"]),
        ("DROP FUNCTION s.f(int), g", ["drops_other function s.f", "drops_other function g"]),
        ("DROP TYPE a.b", ["drops_other type a.b"]),
        ("DROP SCHEMA s CASCADE", ["drops_other schema s CASCADE", "drops_table schema s CASCADE unless taken along", "drops_column schema s CASCADE unless taken along"]),
        ("DROP EXTENSION e", ["drops_other extension e", "drops_table extension e unless taken along", "drops_column extension e unless taken along"]),
        ("DROP OWNED BY r", ["drops_other all that is owned by r", "drops_table all that is owned by r unless taken along", "drops_column all that is owned by r unless taken along"]),
        ("ALTER TABLE t DETACH PARTITION p", ["drops_other table p"]),
        ("ALTER TABLE t NO INHERIT p", ["drops_other table t"]),
        ("DROP TRIGGER g ON s.t", ["drops_other trigger g of s.t"]),
        ("DROP POLICY p ON t", ["drops_other policy p of t"]),
        ("DROP CAST (a AS b)", ["drops_other cast (a AS b)"]),
        ("DROP TRANSFORM FOR s.a LANGUAGE l", ["drops_other transform l of s.a"]),
        ("DROP ROLE r", ["drops_other role r"]),
        ("ALTER DOMAIN d DROP CONSTRAINT c", ["drops_other domain constraint c of d"]),
        # rows
        ("TRUNCATE t, u CASCADE", ["truncates table t CASCADE", "truncates table u CASCADE"]),
        ("DELETE FROM t", ["deletes_rows table t every row"]),
        ("DELETE FROM t WHERE c", ["deletes_rows table t"]),
        ("UPDATE t SET c = 1", ["updates_rows table t every row"]),
        ("UPDATE t SET c = 1 WHERE d", ["updates_rows table t"]),
        ("INSERT INTO t VALUES (1)", []),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", []),
        ("INSERT INTO t VALUES (1) ON CONFLICT (c) DO UPDATE SET d = 1", ["updates_rows table t"]),
        ("MERGE INTO t USING u ON true WHEN MATCHED AND u.x THEN DELETE WHEN MATCHED THEN UPDATE SET c = 1", ["deletes_rows table t", "updates_rows table t"]),
        ("MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT VALUES (1)", []),
        ("WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone", ["deletes_rows table t every row"]),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", ["deletes_rows table t every row"]),
        # what is dropped otherwise than by its name
        ("DROP USER MAPPING FOR alice SERVER s", ["drops_other user mapping alice of s"]),
        ("DROP USER MAPPING FOR CURRENT_USER SERVER s", ["drops_other user mapping CURRENT_USER of s"]),
        ("ALTER PUBLICATION p DROP TABLE s.t, u", ["drops_other table s.t of publication p", "drops_other table u of publication p"]),
        ("ALTER PUBLICATION p DROP TABLES IN SCHEMA s", ["drops_other tables of schema s of publication p"]),
        ("ALTER PUBLICATION p DROP TABLES IN SCHEMA CURRENT_SCHEMA", ["drops_other tables of schema CURRENT_SCHEMA of publication p"]),
        ("ALTER PUBLICATION p SET TABLE t", ["drops_other others than these of publication p unless others of it"]),
        ("ALTER PUBLICATION p ADD TABLE t", []),
        ("ALTER TABLE t ALTER c DROP IDENTITY", ["drops_other identity c of t"]),
        # columns
        ("ALTER TABLE t ADD c int", []),
        ("ALTER TABLE t ADD c int DEFAULT 1 NOT NULL", []),
        ("ALTER TABLE t ADD c int NOT NULL", ["scans_under_lock column t.c", "locks_out_reads column t.c"]),
        ("ALTER TABLE t ADD c timestamptz DEFAULT now()", ["rewrites_table column t.c unless default", "locks_out_reads column t.c unless default"]),
        ("ALTER TABLE t ADD c serial", ["rewrites_table column t.c", "locks_out_reads column t.c"]),
        ("ALTER TABLE t ADD c int GENERATED ALWAYS AS IDENTITY", ["rewrites_table column t.c", "locks_out_reads column t.c"]),
        ("ALTER TABLE t ADD c int GENERATED ALWAYS AS (1) STORED", ["rewrites_table column t.c", "locks_out_reads column t.c"]),
        ("ALTER TABLE t ADD c int GENERATED ALWAYS AS (1) VIRTUAL", []),
        ("ALTER TABLE t ADD c email", ["rewrites_table column t.c unless domain", "locks_out_reads column t.c unless domain"]),
        ("ALTER TABLE t ADD c int CHECK (c > 0)", ["scans_under_lock column t.c", "locks_out_reads column t.c"]),
        ("ALTER TABLE t ADD IF NOT EXISTS c int UNIQUE", ["scans_under_lock column t.c unless absent", "locks_out_reads column t.c unless absent"]),
        ("ALTER TABLE t ADD c int REFERENCES u", []),
        ("ALTER TABLE t ADD c int DEFAULT 1 REFERENCES u", ["scans_under_lock column t.c", "locks_out_reads column t.c", "locks_out_writes table u"]),
        ("ALTER TABLE t ALTER c TYPE text", ["rewrites_table column t.c unless type", "locks_out_reads column t.c unless type", "scans_under_lock column t.c unless made anew", "locks_out_reads column t.c unless made anew", "locks_out_reads column t.c tables beside it unless type unless taken along"]),
        ("ALTER TABLE t ALTER c SET NOT NULL", ["scans_under_lock column t.c unless not null", "locks_out_reads column t.c unless not null"]),
        ("ALTER TABLE t ALTER c DROP NOT NULL, ALTER c SET DEFAULT 1, ALTER c SET STATISTICS 10", []),
        ("ALTER TABLE t ALTER c SET EXPRESSION AS (1)", ["rewrites_table column t.c unless stored", "locks_out_reads column t.c unless stored"]),
        # constraints
        ("ALTER TABLE t ADD CHECK (c > 0)", ["scans_under_lock table t", "locks_out_reads table t"]),
        ("ALTER TABLE t ADD CHECK (c > 0) NOT VALID", []),
        ("ALTER TABLE t ADD CONSTRAINT k NOT NULL c", ["scans_under_lock table t unless not null", "locks_out_reads table t unless not null"]),
        ("ALTER TABLE t ADD CONSTRAINT k NOT NULL c NOT VALID", []),
        ("ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES s.u", ["scans_under_lock table t", "locks_out_writes table t", "locks_out_writes table s.u"]),
        ("ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES u NOT VALID", []),
        ("ALTER TABLE t ADD UNIQUE (c)", ["scans_under_lock table t", "locks_out_reads table t"]),
        ("ALTER TABLE t ADD EXCLUDE USING gist (c WITH &&)", ["scans_under_lock table t", "locks_out_reads table t"]),
        ("ALTER TABLE t ADD PRIMARY KEY USING INDEX i", ["scans_under_lock table t unless key", "locks_out_reads table t unless key"]),
        ("ALTER TABLE t ADD UNIQUE USING INDEX i", []),
        ("ALTER TABLE t VALIDATE CONSTRAINT k", []),
        ("ALTER TABLE t VALIDATE CONSTRAINT k, ALTER c DROP DEFAULT", ["scans_under_lock constraint k of t", "locks_out_reads constraint k of t"]),
        ("ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES u, DISABLE TRIGGER g", ["scans_under_lock table t", "locks_out_writes table t", "locks_out_writes table u"]),
        ("ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES u, ADD d int", ["scans_under_lock table t", "locks_out_reads table t", "locks_out_writes table u"]),
        ("ALTER TABLE t DROP CONSTRAINT k, ADD CHECK (c > 0)", ["drops_other constraint k of t", "scans_under_lock table t", "locks_out_reads table t", "locks_out_reads constraint k of t tables beside it unless taken along"]),
        ("ALTER TABLE t DROP CONSTRAINT k, ADD NOT NULL c", ["drops_other constraint k of t", "scans_under_lock table t unless altered before", "locks_out_reads table t unless altered before", "locks_out_reads constraint k of t tables beside it unless taken along"]),
        ("ALTER TABLE t ALTER c SET NOT NULL, ALTER c DROP NOT NULL", ["scans_under_lock column t.c unless altered before", "locks_out_reads column t.c unless altered before"]),
        ("ALTER TABLE t ALTER CONSTRAINT k ENFORCED", ["scans_under_lock constraint k of t", "locks_out_reads constraint k of t"]),
        ("ALTER TABLE t ALTER CONSTRAINT k DEFERRABLE, ALTER CONSTRAINT l NOT ENFORCED", []),
        ("ALTER DOMAIN d ADD CHECK (value > 1)", ["scans_under_lock domain d unless of domain", "locks_out_writes domain d unless of domain"]),
        ("ALTER DOMAIN d SET NOT NULL", ["scans_under_lock domain d unless of domain", "locks_out_writes domain d unless of domain"]),
        ("ALTER DOMAIN d ADD CHECK (value > 1) NOT VALID", []),
        ("ALTER DOMAIN d VALIDATE CONSTRAINT c", ["scans_under_lock domain d unless of domain", "locks_out_writes domain d unless of domain"]),
        # partitions
        ("ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)", ["scans_under_lock table p unless checks", "locks_out_reads table p unless checks", "scans_under_lock table t unless default partition", "locks_out_reads table t unless default partition"]),
        ("CREATE TABLE p PARTITION OF t FOR VALUES IN (1)", ["scans_under_lock table t unless default partition", "locks_out_reads table t unless default partition"]),
        ("CREATE TABLE p PARTITION OF t DEFAULT", []),
        # storage
        ("ALTER TABLE t SET ACCESS METHOD heap2", ["rewrites_table table t unless storage", "locks_out_reads table t unless storage"]),
        ("ALTER TABLE t SET LOGGED", ["rewrites_table table t unless storage", "locks_out_reads table t unless storage"]),
        ("ALTER TABLE t SET TABLESPACE fast", ["rewrites_table table t unless storage", "locks_out_reads table t unless storage"]),
        ("ALTER INDEX i SET TABLESPACE fast", ["locks_out_reads index i unless storage"]),
        ("ALTER TABLE t SET (fillfactor = 70)", []),
        ("ALTER SEQUENCE s SET UNLOGGED", []),
        ("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", ["rewrites_table every table of tablespace a", "locks_out_reads every table of tablespace a"]),
        ("ALTER INDEX ALL IN TABLESPACE a SET TABLESPACE b", ["locks_out_reads every index of tablespace a"]),
        ("CLUSTER t USING i", ["rewrites_table table t", "locks_out_reads table t"]),
        ("VACUUM (FULL) t", ["rewrites_table table t", "locks_out_reads table t"]),
        ("VACUUM t", []),
        ("REFRESH MATERIALIZED VIEW v", ["rewrites_table materialized view v", "locks_out_reads materialized view v"]),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", []),
        # indexes and locks
        ("CREATE INDEX i ON t (c)", ["scans_under_lock table t", "locks_out_writes table t"]),
        ("CREATE INDEX i ON ONLY t (c)", []),
        ("REINDEX INDEX i", ["locks_out_reads index i"]),
        ("REINDEX TABLE CONCURRENTLY t", []),
        ("LOCK TABLE t", ["locks_out_reads table t"]),
        ("LOCK TABLE t IN SHARE MODE", ["locks_out_writes table t"]),
        ("LOCK TABLE t IN ROW EXCLUSIVE MODE", []),
        # names
        ("ALTER TABLE s.t RENAME TO u", ["renames table s.t"]),
        ("ALTER TABLE t RENAME c TO d", ["renames column t.c"]),
        ("ALTER VIEW v RENAME TO w", ["renames view v"]),
        ("ALTER TYPE t RENAME VALUE 'a' TO 'b'", ["renames type a of t"]),
        ("ALTER TYPE t RENAME TO u", ["renames type t"]),
        ("ALTER FUNCTION f(int) RENAME TO g", ["renames function f"]),
        ("ALTER SCHEMA s RENAME TO r", ["renames schema s"]),
        ("ALTER TABLE t SET SCHEMA s", ["renames table t"]),
        ("ALTER FUNCTION f(int) SET SCHEMA s", ["renames function f"]),
        ("ALTER TABLE t RENAME CONSTRAINT a TO b", []),
        ("ALTER INDEX i RENAME TO j", []),
        # privileges
        ("GRANT SELECT ON s.t TO r", ["changes_privileges table s.t"]),
        ("REVOKE ALL ON SCHEMA s FROM PUBLIC", ["changes_privileges schema s"]),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA s TO r", ["changes_privileges every table of schema s"]),
        ("GRANT a TO b", ["changes_privileges role a"]),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r", ["changes_privileges default privileges of tables"]),
        ("ALTER TABLE t OWNER TO r", ["changes_privileges table t"]),
        ("ALTER FUNCTION f() OWNER TO r", ["changes_privileges function f"]),
        ("ALTER TABLE t DISABLE ROW LEVEL SECURITY", ["changes_privileges table t"]),
        ("CREATE POLICY p ON t", ["changes_privileges policy p of t"]),
        ("ALTER ROLE r SUPERUSER", ["changes_privileges role r"]),
        ("REASSIGN OWNED BY a TO b", ["changes_privileges all that is owned by a"]),
        # code
        ("DO $$BEGIN END$$", ["runs_code DO"]),
        ("CALL s.p(1)", ["runs_code procedure s.p"]),
        ("SELECT f(1), s.g()", ["runs_code function f unless volatile", "runs_code function s.g unless volatile"]),
        ("SELECT c FROM t", []),
        ("INSERT INTO t SELECT f()", ["runs_code function f unless volatile"]),
        ("UPDATE t SET c = f() WHERE d", ["updates_rows table t", "runs_code function f unless volatile"]),
        ("EXPLAIN DELETE FROM t", []),
        ("EXPLAIN (ANALYZE off) DELETE FROM t", []),
        ("EXPLAIN ANALYZE DELETE FROM t", ["deletes_rows table t every row"]),
        ("EXPLAIN (COSTS off, ANALYZE) CREATE TABLE u AS SELECT f()", ["runs_code function f unless volatile"]),
        ("CREATE TABLE u AS SELECT f()", ["runs_code function f unless volatile"]),
        ("COPY (DELETE FROM t RETURNING c) TO '/x'", ["deletes_rows table t every row"]),
        ("COPY (SELECT f()) TO PROGRAM 'x'", ["runs_code COPY … PROGRAM", "runs_code function f unless volatile"]),
        ("DECLARE c CURSOR FOR SELECT f()", ["runs_code function f unless volatile"]),
        ("CREATE EXTENSION e", ["runs_code extension e"]),
        ("COPY t FROM PROGRAM 'x'", ["runs_code COPY … PROGRAM"]),
        # neither what is made nor what is said of it
        ("CREATE TABLE t (c int CHECK (c > 0), d int REFERENCES u)", []),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM t; SELECT 1; END", []),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u", []),
        ("COMMENT ON TABLE t IS 'x'", []),
        ("ALTER TYPE t ADD VALUE 'x'", []),
    ],
)  # fmt: skip
def test_a_statements_hazards(sql: str, expected: list[str]) -> None:
    assert found(sql) == expected


def test_a_temporary_table_hides_nothing_from_the_next_block() -> None:
    names = Names()
    said = []
    for sql in ("CREATE TEMP TABLE t () ON COMMIT DROP; DELETE FROM t", "DELETE FROM t"):
        names.begin("")
        said.append(found(sql, names=names))
    assert said == [[], ["deletes_rows table t every row"]]


LOCKED = "locks_out_reads table a locked since line 1"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE a ADD c int; UPDATE b SET c = 1", [LOCKED]),
        ("ALTER TABLE a ADD c int; UPDATE a SET c = 1", [LOCKED]),
        ("ALTER TABLE a ADD c int; CREATE INDEX ON b (c)", [LOCKED]),
        ("ALTER TABLE a ADD c int; ALTER TABLE b VALIDATE CONSTRAINT k", [LOCKED]),
        ("ALTER TABLE a ADD c int; INSERT INTO b SELECT * FROM c", [LOCKED]),
        ("ALTER TABLE a ADD c int; ALTER TABLE a DISABLE TRIGGER g; UPDATE b SET c = 1", [LOCKED]),
        ("ALTER TABLE a ADD c int; SELECT max(c) FROM b", [LOCKED]),
        ("ALTER TABLE a ADD c int; SELECT 1 FROM pg_class", []),
        ("ALTER TABLE a ADD c int; SELECT 1 FROM pg_catalog.pg_class WHERE 1 IN (SELECT c FROM b)", [LOCKED]),
        ("ALTER TABLE a ADD c int; SELECT c INTO d FROM b", [LOCKED]),
        ("ALTER TABLE a ADD c int; INSERT INTO b SELECT * FROM c UNION SELECT * FROM d", [LOCKED]),
        ("ALTER TABLE a ADD c int; INSERT INTO b VALUES ((SELECT max(c) FROM d))", [LOCKED]),
        ("ALTER TABLE a ADD c int; WITH x AS (INSERT INTO b SELECT * FROM c RETURNING 1) SELECT 1", [LOCKED]),
        ("ALTER TABLE a ADD c int; MERGE INTO b USING c ON true WHEN NOT MATCHED THEN INSERT VALUES (1)", [LOCKED]),
        ("ALTER TABLE a ADD c int; CREATE TABLE b AS SELECT 1 UNION SELECT c FROM d", [LOCKED]),
        ("ALTER TABLE a ADD c int; CREATE TABLE b AS SELECT c FROM d WITH NO DATA", []),
        ("ALTER TABLE a ADD c int; CREATE VIEW b AS SELECT c FROM d", []),
        ("ALTER TABLE a ADD c int; REFRESH MATERIALIZED VIEW CONCURRENTLY b", [LOCKED]),
        ("ALTER TABLE a ADD c int; ANALYZE b", [LOCKED]),
        ("ALTER TABLE a ADD c int; REINDEX INDEX i", [LOCKED]),
        ("ALTER TABLE a ADD c int; COPY b FROM '/x'", [LOCKED]),
        ("ALTER TABLE a ADD c int; COPY (SELECT c FROM b) TO '/x'", [LOCKED]),
        ("ALTER TABLE a ADD c int; DECLARE d CURSOR FOR SELECT c FROM b; MOVE ALL FROM d", [LOCKED]),
        ("ALTER SEQUENCE a INCREMENT 5; UPDATE b SET c = 1", ["locks_out_writes sequence a locked since line 1"]),
        ("REASSIGN OWNED BY r TO s; UPDATE b SET c = 1", ["locks_out_reads all that is owned by r locked since line 1 unless taken along"]),
        ("ALTER TABLE a RENAME TO b; ALTER TABLE b ADD c int; UPDATE d SET c = 1", [LOCKED]),
        ("CREATE SEQUENCE a; ALTER SEQUENCE a RESTART 5; UPDATE b SET c = 1", []),
        ("ALTER TABLE a RENAME c TO d; CREATE TABLE b AS SELECT * FROM c", [LOCKED]),
        ("DROP POLICY p ON a; DO $$BEGIN END$$", [LOCKED]),
        ("DROP TRIGGER g ON a; REFRESH MATERIALIZED VIEW v", [LOCKED]),
        ("TRUNCATE a; EXPLAIN ANALYZE DELETE FROM b", [LOCKED]),
        ("CREATE POLICY p ON a; MERGE INTO b USING c ON true WHEN MATCHED THEN DELETE", [LOCKED]),
        ("CREATE TABLE p PARTITION OF a FOR VALUES IN (1); UPDATE b SET c = 1", [LOCKED]),
        ("ALTER TABLE a DISABLE TRIGGER g; UPDATE b SET c = 1", ["locks_out_writes table a locked since line 1"]),
        ("ALTER TABLE b ADD FOREIGN KEY (c) REFERENCES a NOT VALID; DELETE FROM c", ["locks_out_writes table b locked since line 1", "locks_out_writes table a locked since line 1"]),
        ("CREATE TABLE b (c int REFERENCES a); UPDATE c SET d = 1", ["locks_out_writes table a locked since line 1"]),
        ("CREATE TRIGGER g BEFORE INSERT ON a EXECUTE FUNCTION f(); UPDATE c SET d = 1", ["locks_out_writes table a locked since line 1"]),
        ("UPDATE b SET c = 1; ALTER TABLE a ADD c int", []),
        ("ALTER TABLE a ADD c int; INSERT INTO b VALUES (1); COMMENT ON TABLE b IS 'x'", []),
        ("ALTER TABLE a ALTER c SET STATISTICS 9; COMMENT ON TABLE a IS 'x'; UPDATE b SET c = 1", []),
        ("CREATE TABLE a (c int); ALTER TABLE a ADD d int; UPDATE b SET c = 1", []),
        ("ALTER TABLE a ADD c int; CREATE TABLE b (c int); CREATE INDEX ON b (c); UPDATE b SET c = 1", []),
    ],
)  # fmt: skip
def test_what_is_locked_while_a_later_statement_takes_long(sql: str, expected: list[str]) -> None:
    assert [each for each in found(sql) if "locked since" in each] == expected
    assert not [each for each in found(sql, transaction=False) if "locked since" in each]


def test_what_the_block_has_made_is_no_hazard_to_change() -> None:
    made = (
        "CREATE TABLE t (c int); CREATE INDEX i ON t (c); ALTER TABLE t DROP COLUMN c; DROP TABLE t"
    )
    assert found(made) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE t; CREATE TABLE t (c int)",
        "CREATE TABLE IF NOT EXISTS t (c int); DROP TABLE t",
        "CREATE TABLE s.t (c int); DROP TABLE t",
        "CREATE TABLE t (c int); DROP TABLE s.t",
        "CREATE TEMP TABLE t (c int) ON COMMIT DROP; ALTER TABLE t RENAME TO u; DROP TABLE t",
    ],
)
def test_what_may_have_been_there_before_is_one(sql: str) -> None:
    assert [line.split()[0] for line in found(sql)] == ["drops_table"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE t RENAME TO u; DROP TABLE u", ["drops_table table t as u"]),
        ("ALTER TABLE t RENAME TO u; DELETE FROM u", ["deletes_rows table t every row, as u"]),
        ("ALTER TABLE s.t RENAME TO u; TRUNCATE s.u", ["truncates table s.t as s.u"]),
        ("ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO v; DROP TABLE v", ["renames table t as u", "drops_table table t as v"]),
        ("ALTER TABLE t SET SCHEMA s; DROP TABLE s.t", ["drops_table table t as s.t"]),
        ("CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s; DROP SCHEMA s CASCADE", ["drops_other schema s CASCADE", "drops_table schema s CASCADE unless taken along", "drops_column schema s CASCADE unless taken along", "drops_table table t as s.t"]),
        ("ALTER TABLE t RENAME c TO d; ALTER TABLE t DROP COLUMN d", ["drops_column column t.c as d"]),
        ("ALTER TABLE t RENAME c TO d; ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN d", ["renames table t", "drops_column column t.c as u.d"]),
        ("ALTER INDEX i RENAME TO j; DROP INDEX j", ["drops_other index i as j"]),
        # one of the two may be another one
        ("ALTER TABLE s.t RENAME TO u; DROP TABLE u", ["drops_table table s.t as u", "drops_table table u"]),
        # a swap: what was made goes, or stays
        ("CREATE TABLE u (); ALTER TABLE t RENAME TO v; ALTER TABLE u RENAME TO t; DELETE FROM t", []),
        ("CREATE TABLE u (); ALTER TABLE t RENAME TO v; ALTER TABLE u RENAME TO t; DROP TABLE v", ["drops_table table t as v"]),
        ("ALTER TABLE t RENAME TO v; CREATE TABLE t (); DELETE FROM t", []),
        # a temporary table hides the other one as long as it is there
        ("CREATE TEMP TABLE t (); DROP TABLE t; DELETE FROM t", ["deletes_rows table t every row"]),
        ("CREATE TEMP TABLE t (); SET LOCAL search_path = s; DELETE FROM t; DROP TABLE t", []),
        ("CREATE TABLE pg_temp.t (); ALTER TABLE t RENAME TO u; DELETE FROM u", []),
        ("SET LOCAL search_path = pg_catalog, pg_temp, s; CREATE TEMP TABLE t (); DELETE FROM t", []),
        ("SET LOCAL search_path = s, pg_temp; CREATE TEMP TABLE t (); DELETE FROM t", ["deletes_rows table t every row"]),
        ("CREATE TEMP TABLE t (); SET LOCAL search_path = s, pg_temp; DELETE FROM t", ["deletes_rows table t every row"]),
        ("CREATE TEMP TABLE t (); DELETE FROM s.t", ["deletes_rows table s.t every row"]),
        ("CREATE TEMP VIEW t AS SELECT * FROM s.u; DELETE FROM t", ["deletes_rows table s.u every row, as t"]),
        ("CREATE TABLE t (); CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); DROP TRIGGER g ON t; DELETE FROM t", []),
        ("SELECT 1 AS c INTO t; DELETE FROM t", []),
        # another path finds another one, which a function need not set
        ("CREATE TABLE t (); SET LOCAL search_path = s; DELETE FROM t", ["deletes_rows table t every row"]),
        ("CREATE TABLE s.t (); SET LOCAL search_path = s; DELETE FROM s.t", []),
        ("CREATE TABLE t (); CALL p(); DELETE FROM t", ["runs_code procedure p"]),
        # a parent has the rows of its children, and its partitions
        ("CREATE TABLE p (); ALTER TABLE t INHERIT p; DELETE FROM p", ["deletes_rows table t every row, as p"]),
        ("CREATE TABLE p (); ALTER TABLE t INHERIT p; ALTER TABLE p RENAME TO q; DROP TABLE q CASCADE", ["drops_table table t CASCADE, as q", "drops_column table t CASCADE, as q unless taken along", "drops_other table t CASCADE, as q unless taken along"]),
        ("CREATE TABLE p () PARTITION BY LIST (c); ALTER TABLE p ATTACH PARTITION s.t FOR VALUES IN (1); TRUNCATE p", ["scans_under_lock table s.t unless checks", "locks_out_reads table s.t unless checks", "truncates table s.t as p"]),
        ("CREATE TABLE p (); ALTER TABLE t INHERIT p; DROP TABLE p CASCADE; CREATE TABLE p (); DELETE FROM p", ["drops_table table t CASCADE, as p", "drops_column table t CASCADE, as p unless taken along", "drops_other table t CASCADE, as p unless taken along"]),
        ("CREATE TABLE s.p (); ALTER TABLE t INHERIT s.p; ALTER SCHEMA s RENAME TO o; TRUNCATE o.p", ["truncates table t as o.p"]),
        ("CREATE TABLE p (); CREATE TABLE t (); ALTER TABLE t INHERIT p; DELETE FROM p", []),
        ("CREATE TABLE p (); CREATE TABLE q (); ALTER TABLE t INHERIT q; ALTER TABLE q INHERIT p; ALTER TABLE p DROP COLUMN c", ["drops_column column t.c as p.c"]),
        ("CREATE TABLE p (); ALTER TABLE t INHERIT p; GRANT SELECT ON p TO r; ALTER TABLE p RENAME TO q", []),
        # rows that refer to it go along, or lose what they refer to
        ("CREATE TABLE p (); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE NOT VALID; DELETE FROM p", ["deletes_rows table t as it refers to p"]),
        ("CREATE TABLE p (); ALTER TABLE t ADD COLUMN a int REFERENCES p ON DELETE SET NULL; ALTER TABLE p RENAME TO q; DELETE FROM q", ["updates_rows table t as it refers to q"]),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE NOT VALID; DELETE FROM p", ["deletes_rows table p every row", "deletes_rows table t as it refers to p"]),
        ("CREATE TABLE p (); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p NOT VALID; DELETE FROM p; TRUNCATE p CASCADE", ["truncates table t as it refers to p"]),
        ("CREATE TABLE p (); CREATE TABLE t (); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE; DELETE FROM p", []),
        # the schema is called something else
        ("ALTER SCHEMA s RENAME TO o; DROP TABLE o.t", ["drops_table table s.t as o.t"]),
        ("ALTER SCHEMA s RENAME TO o; ALTER TABLE o.t DROP COLUMN c", ["drops_column column s.t.c as o.t.c"]),
        ("ALTER SCHEMA s RENAME TO o; DROP TYPE o.t", ["drops_other type s.t as o.t"]),
        ("ALTER SCHEMA s RENAME TO o; ALTER SCHEMA o RENAME TO p; DELETE FROM p.t", ["renames schema s as o", "deletes_rows table s.t every row, as p.t"]),
        ("ALTER SCHEMA s RENAME TO o; ALTER SCHEMA n RENAME TO s; TRUNCATE s.t", ["renames schema n", "truncates table n.t as s.t"]),
        ("ALTER SCHEMA s RENAME TO o; ALTER SCHEMA n RENAME TO s; ALTER TABLE o.t DROP COLUMN c", ["renames schema n", "drops_column column s.t.c as o.t.c"]),
        ("ALTER TABLE s.t RENAME TO u; ALTER SCHEMA s RENAME TO o; TRUNCATE o.u", ["renames schema s", "truncates table s.t as o.u"]),
        ("CREATE TABLE s.t (); ALTER SCHEMA s RENAME TO o; DELETE FROM o.t; DELETE FROM o.u", ["deletes_rows table s.u every row, as o.u"]),
        ("CREATE VIEW s.v AS SELECT * FROM t; ALTER SCHEMA s RENAME TO o; DELETE FROM o.v", ["deletes_rows table t every row, as o.v"]),
        ("ALTER TABLE t SET SCHEMA s; ALTER SCHEMA s RENAME TO o; DROP SCHEMA o", ["renames schema s", "drops_other schema s as o"]),
        # a view has the rows of others
        ("CREATE VIEW v AS SELECT * FROM t; DELETE FROM v", ["deletes_rows table t every row, as v"]),
        ("CREATE VIEW v AS SELECT * FROM t; CREATE VIEW w AS SELECT * FROM v; UPDATE w SET c = 1", ["updates_rows table t every row, as w"]),
        ("CREATE TABLE t (); CREATE VIEW v AS SELECT * FROM t; DELETE FROM v; DROP VIEW v", []),
        ("CREATE VIEW v AS SELECT f(); CREATE VIEW w AS SELECT * FROM v; SELECT * FROM w", ["runs_code function f unless volatile"]),
        # what was made to happen
        ("CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u; INSERT INTO t VALUES (1)", ["runs_code rules and triggers of t"]),
        ("CREATE TABLE t (); CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u; INSERT INTO t VALUES (1)", ["runs_code rules and triggers of t"]),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u; DELETE FROM t WHERE c", ["deletes_rows table t"]),
        ("CREATE TRIGGER g AFTER TRUNCATE ON t EXECUTE FUNCTION f(); TRUNCATE t", ["truncates table t", "runs_code rules and triggers of t"]),
    ],
)  # fmt: skip
def test_a_hazard_is_of_what_was_there_before_the_block(sql: str, expected: list[str]) -> None:
    told = [each for each in found(sql) if "locked since" not in each]
    first_rename = "ALTER" in sql and told[:1] and told[0].startswith("renames ")
    assert told[bool(first_rename) :] == expected


@pytest.mark.parametrize(
    ("sql", "path"),
    [
        ("SELECT 1", ""),
        ('SET LOCAL search_path = app, "$user"', 'app, "$user"'),
        ("SET LOCAL SCHEMA 'App'", '"App"'),
        ("SELECT set_config('search_path', 'app, public', true)", "app, public"),
        ("SELECT set_config('search_path', '', true)", "''"),
        ("SET LOCAL search_path = ''", "''"),
        ("SELECT set_config('search_path', p, true) FROM x", "*"),
        ("SET LOCAL search_path = DEFAULT", "*"),
        ("SET LOCAL work_mem = '1MB'; INSERT INTO t VALUES (now()); DELETE FROM t WHERE c", ""),
        ("DO $$BEGIN END$$", "*"),
        ("CALL p()", "*"),
        ("SELECT f()", "*"),
        ("ALTER SCHEMA s RENAME TO o; SET LOCAL search_path = o, public", "s, public"),
        ("ALTER SCHEMA s RENAME TO o; SELECT f()", "*"),
    ],
)
def test_names_are_looked_up_where_the_statements_before_have_it(sql: str, path: str) -> None:
    statements = [(raw.stmt, 1) for raw in parse_sql(f"{sql}; DROP TABLE t")]
    assert dangers(statements)[-1].path == path


def test_outside_a_transaction_is_a_hazard_of_each_statement_but_comments() -> None:
    sql = "CREATE INDEX CONCURRENTLY i ON t (c); COMMENT ON INDEX i IS 'x'"
    assert found(sql, transaction=False) == ["not_transactional the block"]


def test_using_that_only_casts_is_like_none() -> None:
    def doubt(sql: str) -> tuple[str, ...]:
        (danger, *_) = dangers([(parse_sql(sql)[0].stmt, 1)])
        return danger.doubts[0].values

    alter = "ALTER TABLE t ALTER c TYPE varchar(20)"
    assert doubt(alter) == ("varchar(20)", "", "")
    assert doubt(f"{alter} USING c::varchar(20)") == ("varchar(20)", "", "")
    assert doubt(f"{alter} USING c::varchar(30)") == ("varchar(20)", "using", "")
    assert doubt(f"{alter} USING d::varchar(20)") == ("varchar(20)", "using", "")


def test_every_hazard_has_a_statement() -> None:
    """Else its name in a policy would say nothing."""
    cases = next(m for m in test_a_statements_hazards.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    known = {line.split()[0] for _, expected in cases.args[1] for line in expected}
    assert known | {Hazard.NOT_TRANSACTIONAL} == set(Hazard)
