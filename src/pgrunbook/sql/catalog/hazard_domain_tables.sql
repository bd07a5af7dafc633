-- Which tables have a column of one of these domains, or of a domain over it? PostgreSQL looks at no others for a new constraint:
-- get_rels_with_domain of src/backend/commands/typecmds.c.
-- printed for the schema
WITH RECURSIVE domains AS (
    SELECT g.nspname, g.name, t.oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS g (nspname, name)
      JOIN pg_namespace n ON g.nspname IN (n.nspname, '*')
      JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = g.name AND t.typtype = 'd'
     UNION
    SELECT d.nspname, d.name, t.oid
      FROM domains d
      JOIN pg_type t ON t.typbasetype = d.oid
)
SELECT d.nspname AS "schema", d.name, array_agg(DISTINCT 'table ' || c.oid::regclass ORDER BY 'table ' || c.oid::regclass) AS tables
  FROM domains d
  JOIN pg_attribute a ON a.atttypid = d.oid AND NOT a.attisdropped
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm')
 GROUP BY d.nspname, d.name
