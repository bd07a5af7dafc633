-- How many rows has this transaction written so far, by table? Of those that are locked, as `held` has noted them.
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation,
       pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
       pg_stat_get_xact_tuples_updated(c.oid) AS updated,
       pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY (nullif(current_setting('pgrunbook.held', true), '')::oid[])
   AND c.relkind IN ('r', 'p')
   AND pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
       + pg_stat_get_xact_tuples_deleted(c.oid) > 0
 ORDER BY 1
