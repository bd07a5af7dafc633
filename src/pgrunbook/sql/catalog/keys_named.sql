-- Which of these constraints is a key, by the names of its table and its own? On no other kind anything can depend.
SELECT c.relname, k.conname
  FROM unnest(%(tables)s::text[], %(constraints)s::text[]) AS w ("table", name)
  JOIN pg_class c ON c.relname = w."table"
  JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = w.name AND k.contype IN ('p', 'u', 'x')
