-- Which locks on relations does this session hold, and in which files do these lie?
SELECT coalesce(array_agg(l.relation::bigint), '{}') AS oids,
       coalesce(array_agg(l.mode), '{}') AS modes,
       coalesce(array_agg(coalesce(pg_relation_filenode(l.relation), 0)::bigint), '{}') AS filenodes
  FROM pg_locks l
 WHERE l.pid = pg_backend_pid()
   AND l.locktype = 'relation'
   AND l.granted
   AND l.database <> 0 -- not of a catalog that all databases share
