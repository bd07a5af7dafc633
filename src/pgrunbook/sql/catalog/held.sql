-- held
-- Which locks on relations does this session hold, in which files do these lie, and when did the answer begin and end,
-- in seconds?
SELECT extract(epoch FROM statement_timestamp())::float8 AS began,
       extract(epoch FROM clock_timestamp())::float8 AS ended, -- read when the rows have been put together
       coalesce(array_agg(l.relation::bigint), '{}') AS oids,
       coalesce(array_agg(l.mode), '{}') AS modes,
       coalesce(array_agg(coalesce(pg_relation_filenode(l.relation), 0)::bigint), '{}') AS filenodes
  FROM pg_locks l
 WHERE l.pid = pg_backend_pid()
   AND l.locktype = 'relation'
   AND l.granted
   AND l.database <> 0 -- not of a catalog that all databases share
