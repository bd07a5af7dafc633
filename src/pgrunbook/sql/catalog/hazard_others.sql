-- Which of these types, functions and schemas are there, and what depends on each, or is in it?
-- printed for the schema
WITH given AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[]) AS given (kind, nspname, name)
), there AS (
    SELECT g.*, 'pg_type'::regclass AS class, t.oid
      FROM given g
      JOIN pg_namespace n ON n.nspname = g.nspname
      JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = g.name
     WHERE g.kind IN ('type', 'domain')
     UNION ALL
    SELECT g.*, 'pg_proc'::regclass, p.oid
      FROM given g
      JOIN pg_namespace n ON n.nspname = g.nspname
      JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = g.name
     WHERE g.kind IN ('function', 'procedure', 'aggregate', 'routine')
     UNION ALL
    SELECT g.*, 'pg_namespace'::regclass, n.oid
      FROM given g
      JOIN pg_namespace n ON n.nspname = g.name
     WHERE g.kind = 'schema'
)
SELECT t.kind, t.nspname AS "schema", t.name,
       array_remove(array_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)), NULL) AS dependents
  FROM there t
  LEFT JOIN pg_depend d ON d.refclassid = t.class AND d.refobjid = t.oid AND d.deptype IN ('n', 'a')
 GROUP BY t.kind, t.nspname, t.name
