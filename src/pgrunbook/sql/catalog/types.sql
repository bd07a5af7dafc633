-- Which enums and domains do the columns of these tables use, and which values do they take?
-- printed for the schema
SELECT format_type(t.oid, NULL) AS type,
       CASE t.typtype WHEN 'e' THEN 'enum' ELSE 'domain' END AS kind,
       CASE t.typtype
            WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                             FROM pg_enum e WHERE e.enumtypid = t.oid)
            ELSE concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
                           (SELECT string_agg(pg_get_constraintdef(k.oid, true), ' ' ORDER BY k.conname)
                              FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
       END AS "values",
       string_agg(c.relname || '.' || a.attname, ', '
                  ORDER BY wanted.place, a.attnum) AS used_by
  FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted (name, place)
  JOIN pg_class c ON c.relname = wanted.name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid AND t.typtype IN ('e', 'd')
 WHERE c.relkind IN ('r', 'p')
   -- known beforehand to be neither, so that the type of next to no column is looked up: the system's own have low OIDs
   AND a.atttypid NOT IN (SELECT oid FROM pg_type WHERE oid < 16384 AND typtype NOT IN ('e', 'd'))
 GROUP BY t.oid
 ORDER BY 1
