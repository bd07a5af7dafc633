-- Who else holds a lock of this mode on a table of the schema, or on one of these tables? Autovacuum, which gives way, is
-- left out. Of other roles' sessions, a role without pg_read_all_stats is told little: what it is not told is NULL here.
SELECT a.pid, a.application_name AS application, a.usename::text AS role, c.relname::text AS "table",
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_s
  FROM pg_locks l
  JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
  JOIN pg_stat_activity a USING (pid)
 WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (coalesce(%(tables)s::text[], ARRAY[c.relname::text]))
   AND l.mode = %(mode)s
   AND l.granted
   AND l.pid <> pg_backend_pid()
   AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
 ORDER BY a.xact_start NULLS LAST, a.pid, c.relname
