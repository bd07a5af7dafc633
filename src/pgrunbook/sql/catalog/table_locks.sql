-- Who else holds a lock of this mode on a table of the schema, or of any if none is given, or on one of these tables? Autovacuum, which gives way, is
-- left out. Of other roles' sessions, a role without pg_read_all_stats is told little: what it is not told is NULL here.
-- A prepared transaction is nobody's session any more: its pid is 0.
SELECT coalesce(l.pid, 0) AS pid,
       coalesce(a.application_name, '') AS application,
       coalesce(a.usename, p.owner)::text AS role,
       coalesce(a.state, format('prepared transaction %%L', p.gid)) AS state,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS transaction_s,
       concat(CASE WHEN %(schema)s::text IS NULL THEN quote_ident(n.nspname) || '.' END, quote_ident(c.relname)) AS "table"
  FROM pg_locks l
  JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_activity a USING (pid)
  LEFT JOIN pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.virtualtransaction = l.virtualtransaction
                        AND own.locktype = 'transactionid'
  LEFT JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
 WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND n.nspname = coalesce(%(schema)s, n.nspname)
   AND c.relname = ANY (coalesce(%(tables)s::text[], ARRAY[c.relname::text]))
   AND l.mode = %(mode)s
   AND l.granted
   AND l.pid IS DISTINCT FROM pg_backend_pid()
   AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
 ORDER BY transaction_s DESC NULLS LAST, pid, "table"
