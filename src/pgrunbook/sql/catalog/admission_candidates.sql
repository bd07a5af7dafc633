-- Which of these relations are there, and which of these columns do they have?
SELECT c.relname::text AS "table",
       c.relkind::text AS relkind,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (%(columns)s)
              ORDER BY array_position(%(columns)s::text[], a.attname::text)) AS columns
  FROM pg_class c
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (%(tables)s)
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY array_position(%(tables)s::text[], c.relname::text)
