-- Which relations have these names, in the first of these schemas that has one, and which is the table of each that is an
-- index? A statement that names them and needs no transaction locks them in this mode:
-- https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
-- printed for the schema
WITH named AS (
    SELECT DISTINCT ON (c.relname) c.oid
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (%(schemas)s::text[])
       AND c.relname = ANY (%(relations)s)
     ORDER BY c.relname, array_position(%(schemas)s::text[], n.nspname::text)
), concerned AS (
    SELECT oid FROM named
     UNION
    SELECT x.indrelid FROM pg_index x JOIN named ON named.oid = x.indexrelid
)
SELECT oid::bigint AS oid,
       oid::regclass::text AS relation,
       'ShareUpdateExclusiveLock' AS mode,
       coalesce(pg_relation_filenode(oid), 0)::bigint AS filenode
  FROM concerned
