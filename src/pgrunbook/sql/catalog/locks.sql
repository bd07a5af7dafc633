-- Which locks does a session hold on relations that others see too, and so existed before its transaction?
-- printed for the schema
SELECT c.oid::bigint AS oid,
       c.oid::regclass::text AS relation,
       l.mode,
       coalesce(pg_relation_filenode(c.oid), 0)::bigint AS filenode
  FROM pg_locks l
  JOIN pg_class c ON c.oid = l.relation
 WHERE l.pid = %(pid)s
   AND l.locktype = 'relation'
   AND l.granted
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace
                               WHERE nspname IN ('pg_catalog', 'pg_toast', 'information_schema', 'pgrunbook'))
