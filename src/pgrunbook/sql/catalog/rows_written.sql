-- How many rows has this transaction written so far, by table? Of those that are locked, as `held` has noted them. A table
-- that is empty by its file, and not by the statistics of before, was truncated.
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation,
       pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
       pg_stat_get_xact_tuples_updated(c.oid) AS updated,
       pg_stat_get_xact_tuples_deleted(c.oid) AS deleted,
       t.truncated
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
    SELECT CASE WHEN pg_relation_size(c.oid) = 0 THEN pg_stat_get_live_tuples(c.oid) ELSE 0 END AS truncated) AS t
 WHERE c.oid = ANY (nullif(current_setting('pgrunbook.held', true), '')::oid[])
   AND c.relkind IN ('r', 'p')
   AND pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
       + pg_stat_get_xact_tuples_deleted(c.oid) + t.truncated > 0
 ORDER BY 1
