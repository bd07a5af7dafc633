-- Which relation is this, and what is this column of it? No row: no such relation. NULLs: no such column.
-- printed for the schema
SELECT c.oid::int8 AS relation,
       c.oid::regclass::text AS owner,
       c.relkind::text AS relkind,
       a.atttypid::int8 AS type_oid,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attgenerated::text <> '' AS generated
  FROM pg_class c
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %(column)s AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = %(table)s
