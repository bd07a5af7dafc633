-- Which relations of the schema have these names, and which is the table of each that is an index? A statement that names
-- them and needs no transaction locks them in this mode:
-- https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
-- printed for the schema
WITH named AS (
    SELECT c.oid
      FROM pg_class c
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
       AND c.relname = ANY (%(relations)s)
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
