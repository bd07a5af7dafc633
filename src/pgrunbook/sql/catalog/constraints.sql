-- Which constraints do these tables have? NOT NULL is left to the columns: only version 18 names it here.
-- printed for the schema
SELECT c.relname::text AS "table",
       k.conname::text AS "constraint",
       CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY'
                      WHEN 'c' THEN 'CHECK' WHEN 'x' THEN 'EXCLUDE' WHEN 't' THEN 'TRIGGER' END AS kind,
       pg_get_constraintdef(k.oid, true) AS definition,
       k.convalidated AS validated
  FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted (name, place)
  JOIN pg_class c ON c.relname = wanted.name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype <> 'n'
 ORDER BY wanted.place, array_position('{p,u,f,c}', k.contype::text), k.conname
