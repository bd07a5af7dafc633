-- Cancel what another session is at if it waits for a lock though its transaction began so many milliseconds ago. Was it?
-- But let it wait for some.
SELECT pg_cancel_backend(a.pid) AS cancelled
  FROM pg_stat_activity a
 WHERE a.pid = %(pid)s
   AND a.xact_start <= clock_timestamp() - %(limit_ms)s * interval '1 ms'
   AND EXISTS (SELECT FROM pg_locks l
                WHERE l.pid = a.pid AND NOT l.granted AND l.waitstart <= clock_timestamp() - interval '10 ms')
