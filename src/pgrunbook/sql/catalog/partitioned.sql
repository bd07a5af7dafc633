-- Which of these relations are there, and is each a partitioned table, or an index of one?
SELECT n.nspname::text AS "schema", c.relname::text AS name, c.relkind IN ('p', 'I') AS partitioned
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS given (nspname, relname)
  JOIN pg_namespace n ON n.nspname = given.nspname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.relname
