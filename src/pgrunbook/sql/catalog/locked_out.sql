-- Which relations that were there before this transaction does it keep others out of, reading or writing, and in which mode?
-- It is asked while names are looked up elsewhere, so each is written with its schema. What the transaction
-- has made is as young as itself, as is every column; ALTER and TRUNCATE leave some row of these as it was.
SELECT pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.relname)) AS relation,
       pg_catalog.min(l.mode) AS mode
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted AND l.locktype = 'relation' AND c.relpersistence <> 't'
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
   AND c.relkind IN ('r', 'p', 'm', 'f', 'S', 'v') AND n.nspname <> 'pg_catalog'
   AND (pg_catalog.age(c.xmin) > 0
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND pg_catalog.age(a.xmin) > 0))
 GROUP BY n.nspname, c.relname
 ORDER BY n.nspname, c.relname
