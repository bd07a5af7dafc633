"""A schema with an object of every kind, and changes of it, one a line.

`=` before a change: it leaves no difference, for pg_dump and so for us; `>`: one for us alone; `<`:
one for pg_dump alone. A number: from that version on. Of two that are compared, `~~`: they differ
for pg_dump alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from support import databases
from support.databases import Database

from pgrunbook.postgres.embedded import Server

BASE = """
CREATE SCHEMA app;
CREATE SCHEMA other;
COMMENT ON SCHEMA app IS 'the application';
SET search_path = app;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (x int, y text);
COMMENT ON COLUMN pair.x IS 'left';
CREATE DOMAIN email AS text CONSTRAINT at CHECK (VALUE LIKE '%@%');
CREATE TYPE span AS RANGE (SUBTYPE = float8);
CREATE SEQUENCE ticket START 10;
CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', UNIQUE (name));
CREATE TABLE child (
    id bigserial PRIMARY KEY, parent_id int, amount numeric(10,2) DEFAULT 0, mood mood DEFAULT 'ok', tags text[],
    doc jsonb, big text, made timestamptz DEFAULT now(), total numeric GENERATED ALWAYS AS (amount * 2) STORED,
    during int4range, CONSTRAINT positive CHECK (amount > 0),
    CONSTRAINT parent_fk FOREIGN KEY (parent_id) REFERENCES parent);
COMMENT ON TABLE child IS 'children';
COMMENT ON COLUMN child.amount IS 'in euro';
COMMENT ON INDEX parent_pkey IS 'known by';
CREATE INDEX child_made ON child (made);
CREATE INDEX child_lower ON child (lower(big)) WHERE amount > 1;
CREATE UNIQUE INDEX child_key ON child (id, parent_id);
CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY, n int NOT NULL);
CREATE TABLE typed OF pair;
CREATE TABLE base (a int, b int NOT NULL DEFAULT 1, CHECK (a > 0));
CREATE TABLE derived (c int) INHERITS (base);
CREATE TABLE log (at date NOT NULL, what text, n int, PRIMARY KEY (at, n)) PARTITION BY RANGE (at);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE log_2 (at date NOT NULL, what text, n int NOT NULL);
CREATE INDEX log_what ON log (what);
CREATE VIEW seen AS SELECT id, amount FROM child WHERE amount > 5;
CREATE MATERIALIZED VIEW counted_view AS SELECT count(*) AS n FROM child;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE PROCEDURE tidy() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE summed (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE TRIGGER note BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION noted();
CREATE TRIGGER note BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION noted();
CREATE RULE quiet AS ON DELETE TO parent DO INSTEAD NOTHING;
CREATE POLICY own ON child USING (amount > 0);
CREATE STATISTICS related ON parent_id, amount FROM child;
CREATE OPERATOR @@@ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR FAMILY fam USING btree;
CREATE OPERATOR CLASS cls FOR TYPE int USING btree FAMILY fam AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int);
CREATE CAST (mood AS int) WITH INOUT;
CREATE COLLATION german (LOCALE = 'C');
CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple);
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER remote FOREIGN DATA WRAPPER wrapper OPTIONS (host 'a');
CREATE USER MAPPING FOR alice SERVER remote OPTIONS (user 'b', password 'secret');
CREATE FOREIGN TABLE far (id int OPTIONS (name 'a')) SERVER remote OPTIONS (name 'b');
CREATE PUBLICATION pub FOR TABLE parent, child (id, amount) WHERE (amount > 0);
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION on_ddl();
ALTER EVENT TRIGGER watch DISABLE;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO alice;
GRANT SELECT ON parent TO alice;
GRANT UPDATE (amount) ON child TO alice;
"""

CHANGES = """
= SELECT 1
# schemas
CREATE SCHEMA more
DROP SCHEMA other
ALTER SCHEMA app RENAME TO application
ALTER SCHEMA other OWNER TO alice
GRANT USAGE ON SCHEMA app TO bob
GRANT CREATE ON SCHEMA app TO bob
REVOKE USAGE ON SCHEMA public FROM public
COMMENT ON SCHEMA app IS 'something else'
COMMENT ON SCHEMA app IS NULL
= GRANT USAGE ON SCHEMA app TO bob; REVOKE USAGE ON SCHEMA app FROM bob
# tables
CREATE TABLE more (a int)
DROP TABLE counted
ALTER TABLE counted RENAME TO recounted
ALTER TABLE counted SET SCHEMA other
ALTER TABLE counted OWNER TO alice
ALTER TABLE counted SET UNLOGGED
ALTER TABLE counted SET (fillfactor = 70)
ALTER TABLE counted SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)
ALTER TABLE child SET (toast.vacuum_truncate = off)
= ALTER TABLE counted SET (fillfactor = 70); ALTER TABLE counted RESET (fillfactor)
ALTER TABLE counted SET TABLESPACE space
ALTER TABLE counted ENABLE ROW LEVEL SECURITY
ALTER TABLE counted FORCE ROW LEVEL SECURITY
ALTER TABLE parent REPLICA IDENTITY FULL
ALTER TABLE parent REPLICA IDENTITY NOTHING
ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_name_key
= ALTER TABLE parent REPLICA IDENTITY FULL; ALTER TABLE parent REPLICA IDENTITY DEFAULT
ALTER TABLE derived NO INHERIT base
ALTER TABLE counted ADD a int, ADD b int NOT NULL DEFAULT 1, ADD CONSTRAINT base_a_check CHECK (a > 0); ALTER TABLE counted INHERIT base
CREATE TABLE second (d int); ALTER TABLE derived ADD d int; ALTER TABLE derived INHERIT second
ALTER TABLE typed NOT OF
CREATE TABLE like_pair OF pair
ALTER TABLE child CLUSTER ON child_made
ALTER TABLE child CLUSTER ON child_pkey
GRANT INSERT ON parent TO alice
GRANT SELECT ON parent TO alice WITH GRANT OPTION
GRANT SELECT ON parent TO public
REVOKE SELECT ON parent FROM alice
REVOKE ALL ON parent FROM postgres
= GRANT SELECT ON counted TO bob; REVOKE SELECT ON counted FROM bob
= GRANT SELECT ON parent TO alice
COMMENT ON TABLE child IS 'others'
COMMENT ON TABLE child IS NULL
= COMMENT ON TABLE child IS 'children'
= COMMENT ON TABLE parent IS ''
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE more (a int) USING heap2
17 CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler; ALTER TABLE log SET ACCESS METHOD heap2
17 GRANT MAINTAIN ON parent TO alice
# partitions
CREATE TABLE log_3 PARTITION OF log FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')
CREATE TABLE log_3 PARTITION OF log DEFAULT
ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')
ALTER TABLE log DETACH PARTITION log_1
CREATE INDEX log_2_what ON log_2 (what)
CREATE INDEX log_n ON ONLY log (n)
CREATE INDEX log_n ON ONLY log (n); CREATE INDEX log_1_n ON log_1 (n); ALTER INDEX log_n ATTACH PARTITION log_1_n
CREATE TABLE listed (a int) PARTITION BY LIST (a)
CREATE TABLE hashed (a int) PARTITION BY HASH (a); CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0)
ALTER TABLE log_1 ALTER what SET DEFAULT 'a'
ALTER TABLE log ADD FOREIGN KEY (n) REFERENCES parent
ALTER TABLE log_1 ADD FOREIGN KEY (n) REFERENCES parent
ALTER TABLE log_1 ADD CHECK (n > 0)
ALTER TABLE log_1 DISABLE TRIGGER note
= ALTER TABLE log_1 DISABLE TRIGGER note; ALTER TABLE log_1 ENABLE TRIGGER note
# columns
ALTER TABLE counted ADD m int
ALTER TABLE counted DROP n
ALTER TABLE counted RENAME n TO m
ALTER TABLE base ALTER a TYPE bigint
ALTER TABLE child ALTER big TYPE varchar(10)
ALTER TABLE child ALTER big TYPE text COLLATE "C"
= ALTER TABLE child ALTER big TYPE text
ALTER TABLE counted ALTER n DROP NOT NULL
ALTER TABLE child ALTER big SET NOT NULL
ALTER TABLE child ALTER big SET DEFAULT 'x'
ALTER TABLE child ALTER amount SET DEFAULT 1
ALTER TABLE child ALTER amount DROP DEFAULT
= ALTER TABLE child ALTER amount DROP DEFAULT; ALTER TABLE child ALTER amount SET DEFAULT 0
= ALTER TABLE child ALTER big SET DEFAULT NULL
ALTER TABLE child ALTER total DROP EXPRESSION
17 ALTER TABLE child ALTER total SET EXPRESSION AS (amount * 3)
18 ALTER TABLE child ADD v int GENERATED ALWAYS AS (id * 2) VIRTUAL
ALTER TABLE child ADD v int GENERATED ALWAYS AS (id * 2) STORED
ALTER TABLE counted ALTER id SET GENERATED BY DEFAULT
ALTER TABLE counted ALTER id DROP IDENTITY
ALTER TABLE counted ALTER n ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE counted ALTER id SET INCREMENT 5
ALTER TABLE child ALTER big SET STORAGE EXTERNAL
= ALTER TABLE child ALTER big SET STORAGE EXTENDED
ALTER TABLE child ALTER big SET COMPRESSION pglz
ALTER TABLE child ALTER big SET STATISTICS 500
= ALTER TABLE child ALTER big SET STATISTICS 500; ALTER TABLE child ALTER big SET STATISTICS -1
ALTER TABLE child ALTER big SET (n_distinct = 5)
GRANT SELECT (big) ON child TO bob
REVOKE UPDATE (amount) ON child FROM alice
COMMENT ON COLUMN child.amount IS 'in dollars'
COMMENT ON COLUMN child.amount IS NULL
COMMENT ON COLUMN seen.amount IS 'in view'
ALTER TABLE base ADD d int
ALTER TABLE derived ADD a2 int
ALTER TABLE derived ALTER b SET DEFAULT 5
ALTER TABLE derived ALTER b DROP DEFAULT
ALTER TABLE counted ADD x int; ALTER TABLE counted DROP n, ADD n int NOT NULL
= ALTER TABLE counted ADD x int; ALTER TABLE counted DROP x
= ALTER TABLE counted DROP n, ADD n int NOT NULL
ALTER TABLE parent DROP name, ADD name text NOT NULL DEFAULT 'x', ADD UNIQUE (name), ADD z int
18 ALTER TABLE counted DROP CONSTRAINT counted_n_not_null, ADD CONSTRAINT mine NOT NULL n
18 = ALTER TABLE counted DROP CONSTRAINT counted_n_not_null, ADD CONSTRAINT counted_n_not_null NOT NULL n
18 ALTER TABLE child ADD CONSTRAINT big_there NOT NULL big NOT VALID
18 ALTER TABLE child ADD NOT NULL big NOT VALID
18 ALTER TABLE child ADD NOT NULL big NO INHERIT
18 COMMENT ON CONSTRAINT counted_n_not_null ON counted IS 'needed'
18 ALTER TABLE counted RENAME CONSTRAINT counted_n_not_null TO other
18 ALTER TABLE derived ADD NOT NULL b
# constraints
ALTER TABLE child DROP CONSTRAINT positive
ALTER TABLE child RENAME CONSTRAINT positive TO above
ALTER TABLE child DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (amount > 1)
ALTER TABLE child DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID
ALTER TABLE child DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (amount > 0) NO INHERIT
= ALTER TABLE child DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK ((amount > 0))
= ALTER TABLE child DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID; ALTER TABLE child VALIDATE CONSTRAINT positive
ALTER TABLE child ADD CHECK (id > 0)
18 ALTER TABLE child DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (amount > 0) NOT ENFORCED
18 ALTER TABLE child ALTER CONSTRAINT parent_fk NOT ENFORCED
ALTER TABLE child ALTER CONSTRAINT parent_fk DEFERRABLE
ALTER TABLE child ALTER CONSTRAINT parent_fk DEFERRABLE INITIALLY DEFERRED
ALTER TABLE child DROP CONSTRAINT parent_fk, ADD CONSTRAINT parent_fk FOREIGN KEY (parent_id) REFERENCES parent ON DELETE CASCADE
ALTER TABLE child DROP CONSTRAINT parent_fk, ADD CONSTRAINT parent_fk FOREIGN KEY (parent_id) REFERENCES parent NOT VALID
= ALTER TABLE child DROP CONSTRAINT parent_fk, ADD CONSTRAINT parent_fk FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE NO ACTION
ALTER TABLE child ADD UNIQUE (big)
ALTER TABLE child ADD UNIQUE NULLS NOT DISTINCT (big)
ALTER TABLE child ADD UNIQUE (big) INCLUDE (amount)
ALTER TABLE child ADD UNIQUE (big) WITH (fillfactor = 50)
ALTER TABLE child ADD UNIQUE (big) USING INDEX TABLESPACE space
ALTER TABLE child ADD UNIQUE (big) DEFERRABLE
ALTER TABLE child ADD EXCLUDE USING gist (during WITH &&)
ALTER INDEX parent_name_key SET (fillfactor = 50)
ALTER INDEX parent_name_key SET TABLESPACE space
ALTER INDEX parent_name_key RENAME TO other_key
ALTER TABLE counted ADD PRIMARY KEY (n)
CREATE UNIQUE INDEX i ON counted (n); ALTER TABLE counted ADD CONSTRAINT c PRIMARY KEY USING INDEX i
COMMENT ON CONSTRAINT positive ON child IS 'why'
COMMENT ON INDEX parent_name_key IS 'why'
ALTER TABLE base ADD CHECK (b > 0)
ALTER TABLE base ADD CHECK (b > 0) NO INHERIT
ALTER TABLE derived ADD CONSTRAINT base_a_check CHECK (a > 0)
# indexes
CREATE INDEX ON child (big)
DROP INDEX child_made
ALTER INDEX child_made RENAME TO child_time
DROP INDEX child_made; CREATE INDEX child_made ON child (made DESC)
DROP INDEX child_made; CREATE INDEX child_made ON child (made NULLS FIRST)
= DROP INDEX child_made; CREATE INDEX child_made ON child (made ASC NULLS LAST)
= DROP INDEX child_made; CREATE INDEX child_made ON child USING btree (made timestamptz_ops)
DROP INDEX child_made; CREATE INDEX child_made ON child USING hash (made)
DROP INDEX child_made; CREATE INDEX child_made ON child (made) INCLUDE (amount)
DROP INDEX child_made; CREATE INDEX child_made ON child (made) WHERE amount > 1
DROP INDEX child_made; CREATE INDEX child_made ON child (made) WITH (fillfactor = 70)
ALTER INDEX child_made SET (fillfactor = 70)
ALTER INDEX child_made SET TABLESPACE space
ALTER INDEX child_lower ALTER COLUMN 1 SET STATISTICS 300
COMMENT ON INDEX child_made IS 'for lists'
DROP INDEX child_key; CREATE UNIQUE INDEX child_key ON child (id, parent_id) NULLS NOT DISTINCT
ALTER INDEX child_made DEPENDS ON EXTENSION plpgsql
# views
CREATE OR REPLACE VIEW seen AS SELECT id, amount FROM child WHERE amount > 6
= CREATE OR REPLACE VIEW seen AS SELECT child.id, amount FROM app.child WHERE (amount > 5)
CREATE OR REPLACE VIEW seen AS SELECT id, amount, big FROM child WHERE amount > 5
ALTER VIEW seen RENAME COLUMN id TO key
ALTER VIEW seen SET (security_barrier = true)
ALTER VIEW seen SET (security_invoker = true)
CREATE OR REPLACE VIEW seen WITH (check_option = local) AS SELECT id, amount FROM child WHERE amount > 5
ALTER VIEW seen ALTER amount SET DEFAULT 3
ALTER VIEW seen OWNER TO alice
GRANT SELECT ON seen TO bob
COMMENT ON VIEW seen IS 'some'
DROP VIEW seen
ALTER VIEW seen RENAME TO looked
DROP MATERIALIZED VIEW counted_view; CREATE MATERIALIZED VIEW counted_view AS SELECT count(id) AS n FROM child
ALTER MATERIALIZED VIEW counted_view SET (fillfactor = 70)
ALTER MATERIALIZED VIEW counted_view SET TABLESPACE space
ALTER MATERIALIZED VIEW counted_view ALTER n SET STATISTICS 10
ALTER MATERIALIZED VIEW counted_view DEPENDS ON EXTENSION plpgsql
CREATE UNIQUE INDEX ON counted_view (n)
CREATE INDEX cv ON counted_view (n); ALTER MATERIALIZED VIEW counted_view CLUSTER ON cv
COMMENT ON MATERIALIZED VIEW counted_view IS 'some'
# sequences
CREATE SEQUENCE more
DROP SEQUENCE ticket
ALTER SEQUENCE ticket INCREMENT 2
ALTER SEQUENCE ticket MINVALUE 5
ALTER SEQUENCE ticket MAXVALUE 500
ALTER SEQUENCE ticket START 11
ALTER SEQUENCE ticket CACHE 5
ALTER SEQUENCE ticket CYCLE
ALTER SEQUENCE ticket AS int
ALTER SEQUENCE ticket SET UNLOGGED
ALTER SEQUENCE ticket OWNED BY counted.n
ALTER SEQUENCE ticket OWNER TO alice
ALTER SEQUENCE child_id_seq OWNED BY NONE
GRANT USAGE ON SEQUENCE ticket TO bob
COMMENT ON SEQUENCE ticket IS 'some'
= SELECT nextval('app.ticket')
= ALTER SEQUENCE ticket RESTART 100
# types
ALTER TYPE mood ADD VALUE 'glad'
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok'
ALTER TYPE mood RENAME VALUE 'sad' TO 'unhappy'
ALTER TYPE mood RENAME TO humour
ALTER TYPE mood OWNER TO alice
ALTER TYPE mood SET SCHEMA other
GRANT USAGE ON TYPE mood TO bob
REVOKE USAGE ON TYPE mood FROM public
= REVOKE USAGE ON TYPE mood FROM public; GRANT USAGE ON TYPE mood TO public
COMMENT ON TYPE mood IS 'some'
CREATE TYPE more AS ENUM ()
CREATE TYPE more AS (a int)
ALTER TYPE pair ADD ATTRIBUTE z int CASCADE
ALTER TYPE pair ALTER ATTRIBUTE y TYPE varchar CASCADE
ALTER TYPE pair ALTER ATTRIBUTE y TYPE text COLLATE "C" CASCADE
ALTER TYPE pair RENAME ATTRIBUTE y TO why CASCADE
ALTER TYPE pair DROP ATTRIBUTE y CASCADE
COMMENT ON COLUMN pair.x IS 'right'
COMMENT ON TYPE pair IS 'some'
ALTER DOMAIN email SET NOT NULL
ALTER DOMAIN email SET DEFAULT 'a@b'
ALTER DOMAIN email ADD CHECK (VALUE <> '')
ALTER DOMAIN email DROP CONSTRAINT at
ALTER DOMAIN email RENAME CONSTRAINT at TO with_at
ALTER DOMAIN email DROP CONSTRAINT at; ALTER DOMAIN email ADD CONSTRAINT at CHECK (VALUE LIKE '%@%') NOT VALID
COMMENT ON CONSTRAINT at ON DOMAIN email IS 'some'
COMMENT ON DOMAIN email IS 'some'
CREATE DOMAIN short AS varchar(5) COLLATE "C"
18 ALTER DOMAIN email ADD CONSTRAINT there NOT NULL
DROP TYPE span; CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi)
DROP TYPE span; CREATE TYPE span AS RANGE (SUBTYPE = float8, MULTIRANGE_TYPE_NAME = spans)
DROP TYPE span; CREATE TYPE span AS RANGE (SUBTYPE = int)
GRANT USAGE ON TYPE span TO bob
CREATE TYPE declared
CREATE TYPE base_type; CREATE FUNCTION b_in(cstring) RETURNS base_type LANGUAGE internal STRICT IMMUTABLE AS 'int4in'; CREATE FUNCTION b_out(base_type) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'int4out'; CREATE TYPE base_type (INPUT = b_in, OUTPUT = b_out, LIKE = int4)
# functions
CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + n'
CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT n * 2'
CREATE OR REPLACE FUNCTION twice(n int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'
CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN n * 2
= CREATE OR REPLACE FUNCTION app.twice(n integer) RETURNS int4 IMMUTABLE AS $$SELECT n * 2$$ LANGUAGE sql
CREATE FUNCTION twice(n text) RETURNS text LANGUAGE sql AS 'SELECT n'
ALTER FUNCTION twice STRICT
ALTER FUNCTION twice SECURITY DEFINER
ALTER FUNCTION twice LEAKPROOF
ALTER FUNCTION twice PARALLEL SAFE
ALTER FUNCTION twice COST 5
ALTER FUNCTION twice SET search_path = app, pg_temp
ALTER FUNCTION twice RENAME TO double
ALTER FUNCTION twice SET SCHEMA other
ALTER FUNCTION twice OWNER TO alice
ALTER FUNCTION twice DEPENDS ON EXTENSION plpgsql
GRANT EXECUTE ON FUNCTION twice TO bob
REVOKE EXECUTE ON FUNCTION twice FROM public
COMMENT ON FUNCTION twice IS 'some'
CREATE FUNCTION many() RETURNS SETOF int ROWS 5 LANGUAGE sql AS 'SELECT 1'
CREATE FUNCTION w() RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number'
CREATE OR REPLACE PROCEDURE tidy() LANGUAGE sql AS 'SELECT 2'
GRANT EXECUTE ON PROCEDURE tidy TO bob
CREATE AGGREGATE more (int) (SFUNC = int4pl, STYPE = int)
CREATE OR REPLACE AGGREGATE summed (int) (SFUNC = int4pl, STYPE = int, INITCOND = '1')
CREATE OR REPLACE AGGREGATE summed (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', PARALLEL = safe, COMBINEFUNC = int4pl)
= CREATE OR REPLACE AGGREGATE summed (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', FINALFUNC_MODIFY = READ_WRITE)
COMMENT ON AGGREGATE summed (int) IS 'some'
GRANT EXECUTE ON FUNCTION summed TO bob; REVOKE EXECUTE ON FUNCTION summed FROM public
REVOKE EXECUTE ON FUNCTION pg_catalog.lower(text) FROM public
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO alice
GRANT SELECT ON pg_catalog.pg_authid TO alice
REVOKE USAGE ON LANGUAGE plpgsql FROM public
= REVOKE USAGE ON LANGUAGE sql FROM public
# triggers, rules, policies, statistics
CREATE TRIGGER more AFTER UPDATE OF amount ON child FOR EACH ROW WHEN (new.amount > 1) EXECUTE FUNCTION noted()
CREATE TRIGGER more AFTER UPDATE ON child REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION noted()
CREATE CONSTRAINT TRIGGER more AFTER UPDATE ON child DEFERRABLE FOR EACH ROW EXECUTE FUNCTION noted()
CREATE OR REPLACE TRIGGER note AFTER INSERT ON child FOR EACH ROW EXECUTE FUNCTION noted()
= CREATE OR REPLACE TRIGGER note BEFORE INSERT ON app.child FOR ROW EXECUTE PROCEDURE noted()
DROP TRIGGER note ON child
ALTER TRIGGER note ON child RENAME TO noting
ALTER TRIGGER note ON child DEPENDS ON EXTENSION plpgsql
ALTER TABLE child DISABLE TRIGGER note
ALTER TABLE child ENABLE ALWAYS TRIGGER note
ALTER TABLE child ENABLE REPLICA TRIGGER note
COMMENT ON TRIGGER note ON child IS 'some'
CREATE TRIGGER instead INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION noted()
CREATE OR REPLACE RULE quiet AS ON DELETE TO parent DO ALSO SELECT 1
DROP RULE quiet ON parent
ALTER TABLE parent DISABLE RULE quiet
ALTER RULE quiet ON parent RENAME TO silent
COMMENT ON RULE quiet ON parent IS 'some'
CREATE POLICY more ON child FOR SELECT TO alice USING (true)
ALTER POLICY own ON child USING (amount > 1)
ALTER POLICY own ON child WITH CHECK (amount > 1)
ALTER POLICY own ON child TO bob
ALTER POLICY own ON child RENAME TO mine
DROP POLICY own ON child; CREATE POLICY own ON child AS RESTRICTIVE USING (amount > 0)
DROP POLICY own ON child; CREATE POLICY own ON child FOR UPDATE USING (amount > 0)
= DROP POLICY own ON child; CREATE POLICY own ON child FOR ALL TO public USING ((amount > 0))
COMMENT ON POLICY own ON child IS 'some'
CREATE STATISTICS more (ndistinct) ON parent_id, big FROM child
ALTER STATISTICS related SET STATISTICS 100
DROP STATISTICS related
ALTER STATISTICS related OWNER TO alice
COMMENT ON STATISTICS related IS 'some'
# operators, casts, collations, conversions, text search
CREATE OPERATOR ### (FUNCTION = int4mi, LEFTARG = int, RIGHTARG = int)
CREATE OPERATOR ### (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int, RESTRICT = scalarltsel, HASHES)
ALTER OPERATOR @@@ (int, int) OWNER TO alice
DROP OPERATOR @@@ (int, int)
COMMENT ON OPERATOR @@@ (int, int) IS 'some'
DROP OPERATOR @@@ (int, int); CREATE OPERATOR @@@ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int, COMMUTATOR = @@@)
ALTER OPERATOR FAMILY fam USING btree ADD FUNCTION 1 (int, bigint) btint48cmp(int, bigint)
DROP OPERATOR CLASS cls USING btree; CREATE OPERATOR CLASS cls FOR TYPE int USING btree FAMILY fam AS OPERATOR 1 <, OPERATOR 2 <=, FUNCTION 1 btint4cmp(int, int)
ALTER OPERATOR CLASS cls USING btree RENAME TO cls2
ALTER OPERATOR FAMILY fam USING btree OWNER TO alice
COMMENT ON OPERATOR CLASS cls USING btree IS 'some'
COMMENT ON OPERATOR FAMILY fam USING btree IS 'some'
DROP CAST (mood AS int)
DROP CAST (mood AS int); CREATE CAST (mood AS int) WITH INOUT AS IMPLICIT
CREATE CAST (mood AS bigint) WITH INOUT AS ASSIGNMENT
COMMENT ON CAST (mood AS int) IS 'some'
DROP COLLATION german; CREATE COLLATION german (LC_COLLATE = 'C', LC_CTYPE = 'POSIX')
DROP COLLATION german; CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de')
DROP COLLATION german; CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de', DETERMINISTIC = false)
16 DROP COLLATION german; CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de', RULES = '&a < g')
CREATE COLLATION c2 (LOCALE = 'C')
17 CREATE COLLATION c3 (PROVIDER = builtin, LOCALE = 'C.UTF-8')
ALTER COLLATION german RENAME TO deutsch
COMMENT ON COLLATION german IS 'some'
DROP CONVERSION conv
DROP CONVERSION conv; CREATE DEFAULT CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8
COMMENT ON CONVERSION conv IS 'some'
ALTER TEXT SEARCH DICTIONARY dict (accept = false)
COMMENT ON TEXT SEARCH DICTIONARY dict IS 'some'
ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR word WITH dict
ALTER TEXT SEARCH CONFIGURATION conf DROP MAPPING FOR word
ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR word WITH dict, simple
ALTER TEXT SEARCH CONFIGURATION conf OWNER TO alice
CREATE TEXT SEARCH PARSER prs (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)
CREATE TEXT SEARCH TEMPLATE tpl (LEXIZE = dsimple_lexize, INIT = dsimple_init)
CREATE TRANSFORM FOR mood LANGUAGE sql (FROM SQL WITH FUNCTION pg_catalog.prsd_lextype(internal))
CREATE LANGUAGE plx HANDLER plpgsql_call_handler
CREATE ACCESS METHOD am2 TYPE INDEX HANDLER bthandler
# foreign, publications, event triggers, privileges, subscriptions
ALTER SERVER remote OPTIONS (SET host 'b')
ALTER SERVER remote OPTIONS (ADD port '1')
ALTER SERVER remote VERSION '2'
ALTER SERVER remote OWNER TO alice
GRANT USAGE ON FOREIGN SERVER remote TO bob
COMMENT ON SERVER remote IS 'some'
ALTER FOREIGN DATA WRAPPER wrapper OPTIONS (debug 'true')
GRANT USAGE ON FOREIGN DATA WRAPPER wrapper TO bob
ALTER FOREIGN DATA WRAPPER wrapper VALIDATOR postgresql_fdw_validator
CREATE USER MAPPING FOR bob SERVER remote
ALTER USER MAPPING FOR alice SERVER remote OPTIONS (SET user 'c')
DROP USER MAPPING FOR alice SERVER remote
ALTER FOREIGN TABLE far OPTIONS (SET name 'c')
ALTER FOREIGN TABLE far ALTER id OPTIONS (SET name 'c')
ALTER FOREIGN TABLE far ADD b int
ALTER PUBLICATION pub ADD TABLE counted
ALTER PUBLICATION pub DROP TABLE parent
ALTER PUBLICATION pub SET TABLE parent, child (id, amount) WHERE (amount > 1)
ALTER PUBLICATION pub SET TABLE parent, child (id, amount, big) WHERE (amount > 0)
CREATE PUBLICATION whole FOR TABLES IN SCHEMA app
ALTER PUBLICATION pub SET (publish = 'insert')
ALTER PUBLICATION pub SET (publish_via_partition_root = true)
18 ALTER PUBLICATION pub SET (publish_generated_columns = stored)
CREATE PUBLICATION everything FOR ALL TABLES
ALTER PUBLICATION pub OWNER TO alice
COMMENT ON PUBLICATION pub IS 'some'
ALTER EVENT TRIGGER watch ENABLE
ALTER EVENT TRIGGER watch ENABLE ALWAYS
DROP EVENT TRIGGER watch
CREATE EVENT TRIGGER more ON sql_drop WHEN tag IN ('DROP TABLE') EXECUTE FUNCTION on_ddl()
COMMENT ON EVENT TRIGGER watch IS 'some'
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT INSERT ON TABLES TO alice
ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE SELECT ON TABLES FROM alice
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO alice
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM public
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO bob
ALTER DEFAULT PRIVILEGES FOR ROLE alice GRANT USAGE ON TYPES TO bob
ALTER EXTENSION plpgsql ADD FUNCTION twice(int)
ALTER EXTENSION plpgsql ADD FUNCTION twice(int); GRANT EXECUTE ON FUNCTION twice TO bob
# what pg_dump does not say: of what initdb has made, which version an extension has
> COMMENT ON EXTENSION plpgsql IS 'some'
> UPDATE pg_catalog.pg_extension SET extversion = '2'
UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'parent_name_key'::regclass
# what is not said here: passwords
< ALTER USER MAPPING FOR alice SERVER remote OPTIONS (SET password 'other')
"""

# What was taken for equal, or for different, when it was judged by its SQL.
PAIRS = """
CREATE TABLE t (id serial) == CREATE SEQUENCE t_id_seq AS int; CREATE TABLE t (id int NOT NULL DEFAULT nextval('t_id_seq')); ALTER SEQUENCE t_id_seq OWNED BY t.id
CREATE TABLE t (a jsonb DEFAULT '{"b":1,"a":2}') == CREATE TABLE t (a jsonb DEFAULT '{"a": 2, "b": 1}')
CREATE TABLE t (a interval DEFAULT '1 hour') == CREATE TABLE t (a interval DEFAULT '01:00:00')
CREATE TABLE t (a bool DEFAULT 'yes') == CREATE TABLE t (a bool DEFAULT true)
CREATE TABLE t (a uuid DEFAULT 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11') == CREATE TABLE t (a uuid DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
CREATE TABLE t (a bytea DEFAULT 'a') == CREATE TABLE t (a bytea DEFAULT '\\x61')
CREATE TABLE t (a int DEFAULT NULL) == CREATE TABLE t (a int)
CREATE TABLE t (a text, CHECK (a IN ('x'))) == CREATE TABLE t (a text, CHECK (a = 'x'))
CREATE TABLE t (a int, CHECK (a NOT BETWEEN 1 AND 2)) == CREATE TABLE t (a int, CHECK (a < 1 OR a > 2))
CREATE TABLE t (a int, CHECK ((a = 1 OR a = 2) OR a = 3)) == CREATE TABLE t (a int, CHECK (a = 1 OR a = 2 OR a = 3))
CREATE TABLE t (a int, b int, UNIQUE (a), PRIMARY KEY (a)) == CREATE TABLE t (a int, b int, PRIMARY KEY (a), UNIQUE (a))
CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY (INCREMENT 1)) == CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)
18 CREATE TABLE t (a int); ALTER TABLE t ADD NOT NULL a == CREATE TABLE t (a int NOT NULL)
CREATE AGGREGATE a (int) (SFUNC = int4pl, STYPE = int, FINALFUNC = int4abs) <> CREATE AGGREGATE a (int) (SFUNC = int4pl, STYPE = int, FINALFUNC = int4abs, FINALFUNC_MODIFY = READ_WRITE)
CREATE TABLE t (a int) <> CREATE UNLOGGED TABLE t (a int)
CREATE TABLE t (a int) <> CREATE TABLE t (a int) PARTITION BY LIST (a)
CREATE TABLE t (a int, b int NOT NULL DEFAULT 1, CONSTRAINT base_a_check CHECK (a > 0)) <> CREATE TABLE t () INHERITS (base)
CREATE TABLE t (a int) <> CREATE TABLE t (a int); ALTER TABLE t FORCE ROW LEVEL SECURITY
CREATE TABLE t (a int) <> CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING
CREATE TABLE t (m mood, CHECK (m::text < 'ok')) <> CREATE TABLE t (m mood, CHECK (m < 'ok'))
CREATE TABLE t (a numeric DEFAULT 1.9::int) <> CREATE TABLE t (a numeric DEFAULT 1.9)
CREATE TABLE t (v varchar); CREATE INDEX i ON t (lower(v::varchar(3))) <> CREATE TABLE t (v varchar); CREATE INDEX i ON t (lower(v))
CREATE TABLE other.parent (id int PRIMARY KEY); CREATE TABLE t (a int REFERENCES other.parent) <> CREATE TABLE other.parent (id int PRIMARY KEY); CREATE TABLE t (a int REFERENCES app.parent)
CREATE TABLE t (a int, b int) <> CREATE TABLE t (b int, a int)
CREATE TABLE t () WITH (fillfactor = 70, autovacuum_enabled = off) ~~ CREATE TABLE t () WITH (autovacuum_enabled = off, fillfactor = 70)
CREATE TABLE t (); GRANT SELECT ON t TO bob; GRANT INSERT ON t TO alice == CREATE TABLE t (); GRANT INSERT ON t TO alice; GRANT SELECT ON t TO bob
CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION p WITH (connect = false, slot_name = NONE) <> CREATE SUBSCRIPTION sub CONNECTION 'host=b' PUBLICATION p WITH (connect = false, slot_name = NONE)
CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION p WITH (connect = false, slot_name = NONE) <> CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION q WITH (connect = false, slot_name = NONE)
CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION p WITH (connect = false, slot_name = NONE) <> CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION p WITH (connect = false, slot_name = NONE, synchronous_commit = local)
CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION p WITH (connect = false, slot_name = NONE) <> CREATE SUBSCRIPTION sub CONNECTION 'host=a' PUBLICATION p WITH (connect = false, slot_name = NONE); COMMENT ON SUBSCRIPTION sub IS 'some'
"""


def statements(sql: str) -> list[str]:
    """The statements of a line, each to be sent alone, as what adds a value to an enum has to be."""
    parts = re.split(r"; |(\$\$.*?\$\$|'(?:[^']|'')*')", sql)
    joined = [""]
    for number, part in enumerate(parts):
        if part is None:
            joined.append("")
        elif number % 2 or part:
            joined[-1] += part
    return [statement for statement in joined if statement]


def make_roles(database: Database) -> None:
    """Make the roles and the tablespace that the server is to have."""
    roles = {role for (role,) in database.execute("SELECT rolname FROM pg_roles")}
    for role in {"alice", "bob"} - roles:
        database.execute(f"CREATE ROLE {role} SUPERUSER")
    if not database.execute("SELECT FROM pg_tablespace WHERE spcname = 'space'"):
        with database.connect() as conn:
            conn.execute("SET allow_in_place_tablespaces = on")
            conn.execute("CREATE TABLESPACE space LOCATION ''")


@contextmanager
def made(server: Server) -> Iterator[Database]:
    """A database with the schema in it, on a server that has the roles and the tablespace."""
    with databases.temporary(server) as database:
        make_roles(database)
        database.load(BASE)
        yield database
