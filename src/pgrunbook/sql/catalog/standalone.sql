-- Which of these tables are no partition, or are about to be none?
SELECT c.relname::text AS "table", CASE WHEN i.inhdetachpending THEN 'pending' ELSE 'yes' END AS state
  FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (%(tables)s)
   AND c.relkind IN ('r', 'p')
   AND (NOT c.relispartition OR i.inhdetachpending)
