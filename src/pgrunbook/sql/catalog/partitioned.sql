-- Which of these relations are partitioned tables, or indexes of one?
SELECT n.nspname::text AS "schema", c.relname::text AS name
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS given (nspname, relname)
  JOIN pg_namespace n ON n.nspname = given.nspname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.relname
 WHERE c.relkind IN ('p', 'I')
