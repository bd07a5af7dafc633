-- Are these functions, each named as SQL names it, volatile: some of that name, and all of them? And are they code: is what
-- they do not plain, as it is of these? Do they return sets?
-- One that is not there is no row.
SELECT given.name,
       bool_or(volatile) AS some_volatile, bool_and(volatile) AS every_volatile,
       bool_or(volatile AND NOT plain) AS some_code, bool_and(volatile AND NOT plain) AS every_code,
       bool_or(p.proretset) AS some_set, bool_and(p.proretset) AS every_set
  FROM unnest(%(functions)s::text[]) AS given (name)
 CROSS JOIN LATERAL (SELECT parse_ident(given.name) AS parts) AS parsed
  JOIN pg_proc p ON p.proname = parts[cardinality(parts)]
  JOIN pg_namespace n ON n.oid = p.pronamespace
 CROSS JOIN LATERAL (
       SELECT p.provolatile = 'v' AS volatile,
              n.nspname = 'pg_catalog'
          AND p.proname IN ('clock_timestamp', 'timeofday', 'random', 'random_normal', 'gen_random_uuid', 'uuidv4', 'uuidv7',
                            'nextval', 'currval', 'lastval', 'set_config', 'pg_notify') AS plain) AS judged
 WHERE CASE WHEN cardinality(parts) > 1 THEN n.nspname = parts[1] ELSE n.nspname = 'pg_catalog' OR n.nspname = ANY (%(schemas)s) END
 GROUP BY given.name
