-- Which columns of this relation must an INSERT fill in, besides the one?
-- printed for the schema
SELECT a.attname::text AS "column",
       format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = %(schema)s AND c.relname = %(table)s)
   AND a.attnum > 0 AND NOT a.attisdropped
   AND a.attname <> %(column)s
   AND (a.attnotnull OR t.typnotnull)
   AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
   AND t.typdefault IS NULL
 ORDER BY a.attnum
