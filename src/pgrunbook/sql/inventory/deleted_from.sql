-- From which catalogs has the session's transaction deleted rows? From all of them, for all we know, if they are not counted.
SELECT c.relname::text
  FROM pg_class c
 WHERE c.oid < 16384 AND c.relkind = 'r' AND c.relnamespace = 'pg_catalog'::regnamespace
   AND (NOT current_setting('track_counts')::boolean OR pg_stat_get_xact_tuples_deleted(c.oid) > 0)
