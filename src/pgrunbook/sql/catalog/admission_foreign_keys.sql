-- Which foreign keys hold this column, and which column do they look its values up in?
-- printed for the schema
SELECT k.conname::text AS name,
       pg_get_constraintdef(k.oid) AS definition,
       k.convalidated AS validated,
       cardinality(k.conkey) AS width,
       r.oid::regclass::text AS lookup,
       n.nspname::text AS lookup_schema,
       r.relname::text AS lookup_table,
       b.attname::text AS lookup_column
  FROM pg_constraint k
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attname = %(column)s
  JOIN pg_class r ON r.oid = k.confrelid
  JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_attribute b ON b.attrelid = r.oid AND b.attnum = k.confkey[array_position(k.conkey, a.attnum)]
 WHERE k.conrelid = %(relation)s::oid
   AND k.contype = 'f'
   AND a.attnum = ANY (k.conkey)
   AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) -- a column since version 18
   AND NOT EXISTS ( -- one of the several that a foreign key to a partitioned table consists of
       SELECT FROM pg_constraint o WHERE o.oid = k.conparentid AND o.conrelid = k.conrelid)
 ORDER BY 1
