-- Which catalogs has this transaction written to? All of them, for all we know, if that is not counted.
SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}') AS catalogs
  FROM pg_class c
 WHERE c.oid < 16384 AND c.relkind = 'r' AND c.relnamespace = 'pg_catalog'::regnamespace
   AND (NOT current_setting('track_counts')::boolean
        OR pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
           + pg_stat_get_xact_tuples_deleted(c.oid) > 0)
