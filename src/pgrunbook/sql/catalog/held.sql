-- Which locks does this session hold on relations that are not the system's own, and in which files do these lie?
-- Does the session that keeps the run's lock still hold it? The relations are noted for the cursor `before`.
SELECT coalesce(array_agg(l.relation::bigint) FILTER (WHERE own), '{}') AS oids,
       coalesce(array_agg(l.mode) FILTER (WHERE own), '{}') AS modes,
       coalesce(array_agg(coalesce(pg_relation_filenode(l.relation), 0)::bigint) FILTER (WHERE own), '{}') AS filenodes,
       coalesce(bool_or(NOT own), false) AS kept,
       set_config('pgrunbook.held', coalesce(array_agg(l.relation) FILTER (WHERE own), '{}')::text, true)
  FROM pg_locks l
 CROSS JOIN LATERAL (SELECT l.locktype = 'relation') AS o (own)
 WHERE l.granted
   AND (l.pid = pg_backend_pid() AND own AND l.relation >= 16384 -- FirstNormalObjectId
     OR l.pid = %(keeper)s AND l.locktype = 'advisory' AND l.objsubid = 1 -- a key of one bigint
        AND (l.classid::bigint << 32) | l.objid::bigint = %(key)s)
