-- How many relations of each kind does the database have, how many functions PostgreSQL's own schema, and which extensions? A copy
-- with fewer lacks something: a dump has no index that is not valid, and nothing of pg_catalog; an extension is made in the version
-- that the server has.
SELECT 'relation ' || c.relkind::text AS what, count(*) AS number
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_(temp|toast)' AND n.nspname <> 'pgrunbook'
 GROUP BY 1
 UNION ALL
SELECT 'function', count(*)
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'pg_catalog'
 UNION ALL
SELECT 'extension ' || extname || ' ' || extversion, 1
  FROM pg_extension
 ORDER BY what
