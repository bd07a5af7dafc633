-- Which locks does this session hold on relations that are not the system's own, and in which files do these lie?
SELECT coalesce(array_agg(l.relation::bigint), '{}') AS oids,
       coalesce(array_agg(l.mode), '{}') AS modes,
       coalesce(array_agg(coalesce(pg_relation_filenode(l.relation), 0)::bigint), '{}') AS filenodes
  FROM pg_locks l
 WHERE l.pid = pg_backend_pid()
   AND l.locktype = 'relation'
   AND l.granted
   AND l.relation >= 16384 -- FirstNormalObjectId
