-- Which indexes do these tables have, those behind a constraint included?
SELECT c.relname::text AS "table",
       i.relname::text AS "index",
       pg_get_indexdef(x.indexrelid, 0, true) AS definition,
       x.indisunique AS "unique",
       x.indisvalid AS valid,
       pg_relation_size(x.indexrelid) AS bytes
  FROM pg_class c
  JOIN pg_index x ON x.indrelid = c.oid
  JOIN pg_class i ON i.oid = x.indexrelid
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (%(tables)s)
 ORDER BY array_position(%(tables)s::text[], c.relname::text), i.relname
