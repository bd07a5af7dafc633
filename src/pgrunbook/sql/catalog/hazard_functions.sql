-- Are these functions, each named as SQL names it, volatile: some of that name, and all of them? One that is not there is
-- no row.
SELECT given.name, bool_or(p.provolatile = 'v') AS some, bool_and(p.provolatile = 'v') AS every
  FROM unnest(%(functions)s::text[]) AS given (name)
 CROSS JOIN LATERAL (SELECT parse_ident(given.name) AS parts) AS parsed
  JOIN pg_proc p ON p.proname = parts[cardinality(parts)]
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE CASE WHEN cardinality(parts) > 1 THEN n.nspname = parts[1] ELSE n.nspname = 'pg_catalog' OR n.nspname = ANY (%(schemas)s) END
 GROUP BY given.name
