-- Which columns do the tables of the ledger have?
SELECT c.relname::text AS "table", a.attname::text AS "column"
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'r'
   AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgrunbook')
