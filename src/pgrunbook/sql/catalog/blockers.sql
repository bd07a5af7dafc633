-- Who blocks a session: who holds what it waits for, or waits for it too and came first?
SELECT a.pid,
       coalesce(a.application_name, '') AS application,
       coalesce(a.usename::text, a.backend_type) AS role,
       coalesce(a.state, 'no client') AS state,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS transaction_s,
       coalesce((SELECT string_agg(DISTINCT CASE WHEN w.locktype IN ('virtualxid', 'transactionid') THEN 'its transaction'
                                                 ELSE upper(regexp_replace(replace(h.mode, 'Lock', ''), '([a-z])([A-Z])', '\1 \2', 'g')) END
                                            || CASE WHEN h.granted THEN '' ELSE ' (queued)' END, ', ')
                   FROM pg_locks w
                   JOIN pg_locks h ON h.locktype = w.locktype
                                  AND h.database IS NOT DISTINCT FROM w.database
                                  AND h.relation IS NOT DISTINCT FROM w.relation
                                  AND h.transactionid IS NOT DISTINCT FROM w.transactionid
                                  AND h.virtualxid IS NOT DISTINCT FROM w.virtualxid
                  WHERE w.pid = %(pid)s AND NOT w.granted AND h.pid = a.pid), '') AS lock,
       coalesce(a.query, '') AS query
  FROM unnest(pg_blocking_pids(%(pid)s)) AS blocking (pid)
  JOIN pg_stat_activity a USING (pid)
 ORDER BY a.xact_start NULLS LAST, a.pid
