-- Which relations have columns of these enums, or of arrays of them?
SELECT t.typname::text AS enum, c.relname::text AS relation
  FROM pg_type t
  JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_class c ON c.oid = a.attrelid
 WHERE t.typtype = 'e'
   AND t.typname = ANY (%(enums)s)
