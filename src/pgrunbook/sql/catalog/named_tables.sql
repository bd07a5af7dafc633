-- Which relations do these names mean, each alone or behind its schema, for who looks along this path?
SELECT w.name, c.oid::bigint AS oid, c.relkind IN ('r', 'p') AS is_table
  FROM unnest(%(qualifiers)s::text[], %(names)s::text[]) AS w (schema, name)
 CROSS JOIN LATERAL (
     SELECT c.oid, c.relkind
       FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relname = w.name
        AND (n.nspname = w.schema OR w.schema = '' AND n.nspname = ANY (%(schemas)s::text[]))
      ORDER BY array_position(%(schemas)s::text[], n.nspname::text)
      LIMIT 1) AS c
