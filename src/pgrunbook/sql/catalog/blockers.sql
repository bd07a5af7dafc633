-- Who blocks a session: who holds what it waits for, or waits for it too and came first?
-- Of other roles' sessions, a role without pg_read_all_stats is told little: what it is not told is NULL here.
-- A prepared transaction is nobody's session any more: its pid is 0. An autovacuum gives way, unless it prevents wraparound:
-- it says so, or else the age of a table that it has locked does.
WITH blocking AS (
    SELECT DISTINCT unnest(pg_blocking_pids(%(pid)s)) AS pid
), held AS (
    SELECT coalesce(h.pid, 0) AS pid,
           h.virtualtransaction,
           string_agg(DISTINCT CASE WHEN w.locktype IN ('virtualxid', 'transactionid') THEN 'its transaction'
                                    ELSE upper(regexp_replace(replace(h.mode, 'Lock', ''), '([a-z])([A-Z])', '\1 \2', 'g')) END
                               || CASE WHEN h.granted THEN '' ELSE ' (queued)' END
                               || coalesce(' on pgrunbook.' || (SELECT l.relname FROM pg_class l
                                            WHERE l.oid = h.relation AND l.relnamespace = to_regnamespace('pgrunbook')), ''),
                           ', ') AS lock
      FROM pg_locks w
      JOIN pg_locks h ON h.locktype = w.locktype
                     AND h.database IS NOT DISTINCT FROM w.database
                     AND h.relation IS NOT DISTINCT FROM w.relation
                     AND h.transactionid IS NOT DISTINCT FROM w.transactionid
                     AND h.virtualxid IS NOT DISTINCT FROM w.virtualxid
     WHERE w.pid = %(pid)s
       AND NOT w.granted
     GROUP BY coalesce(h.pid, 0), h.virtualtransaction
), aged AS (
    SELECT l.pid
      FROM pg_locks l
      JOIN pg_class c ON c.oid = l.relation
     CROSS JOIN LATERAL (SELECT coalesce(max(o.option_value::bigint) FILTER (WHERE o.option_name = 'autovacuum_freeze_max_age'),
                                         current_setting('autovacuum_freeze_max_age')::bigint),
                                coalesce(max(o.option_value::bigint) FILTER (WHERE o.option_name = 'autovacuum_multixact_freeze_max_age'),
                                         current_setting('autovacuum_multixact_freeze_max_age')::bigint)
                           FROM pg_options_to_table(c.reloptions) AS o) AS limits (xids, multixacts)
     WHERE l.pid IN (SELECT pid FROM blocking)
       AND l.locktype = 'relation'
       AND c.relkind IN ('r', 'm', 't')
       AND (age(c.relfrozenxid) > limits.xids OR mxid_age(c.relminmxid) > limits.multixacts)
)
SELECT a.pid,
       coalesce(a.application_name, '') AS application,
       coalesce(a.usename::text, a.backend_type, 'background process') AS role,
       CASE WHEN seen THEN coalesce(a.state, 'no client') ELSE 'not shown to this role' END AS state,
       CASE WHEN seen THEN coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 END AS transaction_s,
       coalesce((SELECT string_agg(h.lock, ', ') FROM held h WHERE h.pid = a.pid), '') AS lock,
       CASE WHEN seen THEN coalesce(a.query, '') ELSE '' END AS query,
       CASE WHEN a.backend_type = 'autovacuum worker'
              OR a.backend_type IS NULL AND a.usesysid IS NULL -- which is not shown, but what it is doing is
             AND a.pid IN (SELECT pid FROM pg_stat_progress_vacuum UNION SELECT pid FROM pg_stat_progress_analyze)
            THEN CASE WHEN seen THEN a.query NOT LIKE '%%(to prevent wraparound)'
                      ELSE a.pid NOT IN (SELECT pid FROM aged) END END AS gives_way
  FROM blocking
  JOIN pg_stat_activity a USING (pid)
 CROSS JOIN LATERAL (SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
                         OR coalesce(pg_has_role(current_user, a.usesysid, 'USAGE'), false)) AS told (seen)
UNION ALL
SELECT b.pid,
       '',
       p.owner::text,
       format('prepared transaction %%L', p.gid),
       extract(epoch FROM clock_timestamp() - p.prepared)::float8,
       h.lock,
       '',
       NULL
  FROM blocking b
  JOIN held h ON h.pid = b.pid
  JOIN pg_locks own ON own.pid IS NULL AND own.virtualtransaction = h.virtualtransaction AND own.locktype = 'transactionid'
  JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
 WHERE b.pid = 0
 ORDER BY transaction_s DESC NULLS LAST, pid
