-- Who waits for what a session has locked, directly or behind others, and for how long? The session is cancelled if one has
-- waited for so many milliseconds. Who only waits for it to end, as CREATE INDEX CONCURRENTLY does, is used to that.
WITH RECURSIVE waiting AS MATERIALIZED (
    SELECT pid, coalesce(waitstart, clock_timestamp()) AS since
      FROM pg_locks
     WHERE NOT granted AND locktype <> 'virtualxid'
), edges AS MATERIALIZED (
    SELECT w.pid, w.since, blocking.pid AS behind FROM waiting w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
), queue AS (
    SELECT pid, since FROM edges WHERE behind = %(pid)s
     UNION
    SELECT e.pid, e.since FROM edges e JOIN queue q ON e.behind = q.pid
), longest AS MATERIALIZED (
    SELECT pid, extract(epoch FROM clock_timestamp() - since)::float8 * 1000 AS waited_ms
      FROM queue WHERE pid <> %(pid)s ORDER BY since LIMIT 1
)
SELECT l.pid, l.waited_ms,
       coalesce(nullif(a.application_name, ''), 'no application name') AS application,
       a.usename::text AS role,
       CASE WHEN l.waited_ms >= %(limit_ms)s THEN pg_cancel_backend(%(pid)s) ELSE false END AS cancelled
  FROM longest l
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
