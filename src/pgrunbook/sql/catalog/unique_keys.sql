-- Which columns of these tables are unique together, in a way that a foreign key can rely on?
SELECT c.relname::text AS "table",
       ARRAY(SELECT a.attname::text
               FROM unnest(x.indkey) WITH ORDINALITY AS k (attnum, place)
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
              WHERE k.place <= x.indnkeyatts) AS columns,
       x.indisprimary AS "primary"
  FROM pg_index x
  JOIN pg_class c ON c.oid = x.indrelid
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (%(tables)s)
   AND x.indisunique AND x.indimmediate AND x.indisvalid
   AND x.indexprs IS NULL AND x.indpred IS NULL
