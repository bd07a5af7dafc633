-- What is going on in the database that a backfill of a table is to give way to? One row; what a role is not shown is NULL.
-- Positions in the WAL are in bytes from its beginning. Partitions and children of the table count with it.
WITH RECURSIVE tables (oid) AS (
    SELECT %(qualified)s::regclass::oid
     UNION
    SELECT i.inhrelid FROM tables t JOIN pg_inherits i ON i.inhparent = t.oid
), counted AS MATERIALIZED (
    SELECT sum(pg_stat_get_dead_tuples(c.oid))::bigint AS dead_rows,
           sum(pg_stat_get_live_tuples(c.oid))::bigint AS live_rows,
           bool_and(pg_has_role(current_user, c.relowner, 'USAGE')
                    OR CASE WHEN current_setting('server_version_num')::int >= 170000
                            THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE false END) AS may_vacuum,
           array_agg(c.oid) || array_agg(c.reltoastrelid) AS vacuumed
      FROM tables t
      JOIN pg_class c ON c.oid = t.oid
), here AS MATERIALIZED (
    SELECT pg_current_wal_lsn() AS lsn,
           (SELECT oid FROM pg_database WHERE datname = current_database()) AS database,
           pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS told
), subscribers AS MATERIALIZED (
    SELECT slot_name::text AS slot, active_pid, (here.lsn - confirmed_flush_lsn)::bigint AS slot_behind_bytes
      FROM pg_replication_slots, here
     WHERE slot_type = 'logical' AND confirmed_flush_lsn IS NOT NULL
), slowest_slot AS (
    SELECT slot, slot_behind_bytes FROM subscribers ORDER BY slot_behind_bytes DESC, slot LIMIT 1
), replicas AS MATERIALIZED (
    -- not a base backup, nor pg_receivewal, which replays nothing; who is not told the state is not told the rest
    SELECT r.pid, coalesce(nullif(r.application_name, ''), format('pid %%s', r.pid)) AS replica,
           (r.replay_lsn - '0/0')::bigint AS replayed_bytes, extract(epoch FROM r.replay_lag)::float8 AS replay_lag_s,
           r.state IS NULL AS hidden, r.backend_xmin
      FROM pg_stat_replication r
     WHERE (r.state IS NULL OR r.state IN ('streaming', 'catchup') AND r.replay_lsn IS NOT NULL)
       AND NOT EXISTS (SELECT FROM subscribers s WHERE s.active_pid = r.pid)
), slowest_replica AS (
    SELECT replica, replayed_bytes, replay_lag_s FROM replicas WHERE NOT hidden ORDER BY replayed_bytes, replica LIMIT 1
), archiver AS (
    -- files of WAL, counted from the first: the one that is written now, and the one that is to be archived next. Both of
    -- the archiver's are without number if they are histories of timelines, or if there are none yet
    SELECT CASE WHEN current_setting('archive_mode') = 'off' THEN 0
                ELSE greatest(0, div(here.lsn - '0/0', s.bytes) - coalesce(done.number + 1, failed.number)) END::bigint
               AS archive_files
      FROM pg_stat_archiver a
     CROSS JOIN here
     CROSS JOIN (SELECT setting::numeric FROM pg_settings WHERE name = 'wal_segment_size') AS s (bytes)
      LEFT JOIN LATERAL (SELECT ('x' || substr(a.last_archived_wal, 9, 8))::bit(32)::bigint * div(4294967296, s.bytes)
                                + ('x' || substr(a.last_archived_wal, 17, 8))::bit(32)::bigint
                          WHERE a.last_archived_wal ~ '^[0-9A-F]{24}$') AS done (number) ON true
      LEFT JOIN LATERAL (SELECT ('x' || substr(a.last_failed_wal, 9, 8))::bit(32)::bigint * div(4294967296, s.bytes)
                                + ('x' || substr(a.last_failed_wal, 17, 8))::bit(32)::bigint
                          WHERE a.last_failed_wal ~ '^[0-9A-F]{24}$') AS failed (number) ON true
), vacuum AS (
    -- found by its lock: of which table it is, not every role is told
    SELECT concat_ws(', ', format('pid %%s', l.pid), p.phase) AS vacuum
      FROM pg_stat_progress_vacuum p
      JOIN pg_locks l ON l.pid = p.pid AND l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
     CROSS JOIN here
     CROSS JOIN counted
     WHERE l.database = here.database AND l.relation = ANY (counted.vacuumed)
     ORDER BY l.pid LIMIT 1
), oldest_snapshot AS (
    SELECT snapshot, snapshot_s
      FROM (SELECT format('pid %%s', a.pid)
                   || format(' (%%s, %%s)', coalesce(nullif(a.application_name, ''), 'no application name'), a.usename)
                   || coalesce(', ' || a.state, ''),
                   extract(epoch FROM clock_timestamp() - a.xact_start)::float8, age(a.backend_xmin)
              FROM pg_stat_activity a, here
             WHERE a.backend_xmin IS NOT NULL AND a.datid = here.database AND a.pid <> pg_backend_pid()
               AND a.pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
             UNION ALL
            SELECT format('prepared transaction %%L (%%s)', p.gid, p.owner),
                   extract(epoch FROM clock_timestamp() - p.prepared)::float8, age(p.transaction)
              FROM pg_prepared_xacts p WHERE p.database = current_database()
             UNION ALL
            SELECT format('replication slot %%s', s.slot_name), NULL, age(s.xmin)
              FROM pg_replication_slots s WHERE s.xmin IS NOT NULL
             UNION ALL
            SELECT format('hot_standby_feedback of the replica %%s', r.replica), NULL, age(r.backend_xmin)
              FROM replicas r WHERE r.backend_xmin IS NOT NULL) AS each (snapshot, snapshot_s, age)
     ORDER BY age DESC LIMIT 1
)
SELECT (here.lsn - '0/0')::bigint AS wal_bytes,
       replica, replayed_bytes, replay_lag_s,
       slot, slot_behind_bytes,
       archive_files,
       vacuum,
       snapshot, snapshot_s,
       dead_rows, live_rows, may_vacuum,
       array_remove(ARRAY[CASE WHEN EXISTS (SELECT FROM replicas WHERE hidden) THEN 'lag of replicas' END,
                          CASE WHEN NOT here.told THEN 'snapshots of other roles' END], NULL) AS unseen
  FROM here
 CROSS JOIN counted
 CROSS JOIN archiver
  LEFT JOIN slowest_replica ON true
  LEFT JOIN slowest_slot ON true
  LEFT JOIN vacuum ON true
  LEFT JOIN oldest_snapshot ON true
