-- Which names, definitions and comments does the schema hold, as bytes? They may be in no encoding: of SQL_ASCII.
WITH here AS (
    SELECT oid FROM pg_namespace WHERE nspname = %(schema)s
), relations AS (
    SELECT c.oid, c.relname FROM here JOIN pg_class c ON c.relnamespace = here.oid
)
SELECT 'relation' AS kind, oid::int8 AS oid, convert_to(relname::text, 'SQL_ASCII') AS bytes FROM relations
UNION ALL
SELECT 'column of relation', r.oid::int8, convert_to(a.attname::text, 'SQL_ASCII')
  FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
UNION ALL
SELECT 'default of relation', r.oid::int8, convert_to(pg_get_expr(d.adbin, d.adrelid), 'SQL_ASCII')
  FROM relations r JOIN pg_attrdef d ON d.adrelid = r.oid
UNION ALL
SELECT 'constraint', k.oid::int8, convert_to(k.conname || ' ' || pg_get_constraintdef(k.oid), 'SQL_ASCII')
  FROM here JOIN pg_constraint k ON k.connamespace = here.oid
UNION ALL
SELECT 'type', t.oid::int8, convert_to(t.typname::text, 'SQL_ASCII') FROM here JOIN pg_type t ON t.typnamespace = here.oid
UNION ALL
SELECT 'label of type', t.oid::int8, convert_to(e.enumlabel::text, 'SQL_ASCII')
  FROM here JOIN pg_type t ON t.typnamespace = here.oid JOIN pg_enum e ON e.enumtypid = t.oid
UNION ALL
SELECT 'comment on relation', r.oid::int8, convert_to(k.description, 'SQL_ASCII')
  FROM relations r JOIN pg_description k ON k.classoid = 'pg_class'::regclass AND k.objoid = r.oid
