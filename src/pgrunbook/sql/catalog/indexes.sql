-- Which indexes do these tables have, those behind a constraint included?
SELECT c.relname::text AS "table",
       i.relname::text AS "index",
       pg_get_indexdef(x.indexrelid, 0, true) AS definition,
       x.indisunique AS "unique",
       x.indisvalid AS valid,
       pg_relation_size(x.indexrelid) AS bytes
  FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted (name, place)
  JOIN pg_class c ON c.relname = wanted.name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  JOIN pg_index x ON x.indrelid = c.oid
  JOIN pg_class i ON i.oid = x.indexrelid
 ORDER BY wanted.place, i.relname
