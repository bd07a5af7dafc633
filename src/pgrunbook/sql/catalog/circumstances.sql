-- What is going on in this database that a change of its schema has to live with?
-- Of other roles' sessions, a role without pg_read_all_stats is told little: what it is not told is NULL here.
-- printed for the schema
WITH mine AS (
  SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all
), wal AS (
  SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS now
)
SELECT what, found, remark
  FROM (
    SELECT 1 AS part, 'size of the database' AS what, pg_size_pretty(pg_database_size(current_database())) AS found,
           '' AS remark
    UNION ALL
    -- not by backend_type, which is NULL for other roles' sessions
    SELECT 2, 'sessions', format('%%s of %%s', count(*) FILTER (WHERE usesysid IS NOT NULL AND datid IS NOT NULL),
                                 current_setting('max_connections')), ''
      FROM pg_stat_activity
    UNION ALL
    SELECT 3, 'age of the oldest transaction id',
           format('%%s of %%s', to_char(age(datfrozenxid), 'FM9,999,999,999'),
                  to_char(current_setting('autovacuum_freeze_max_age')::bigint, 'FM9,999,999,999')),
           CASE WHEN age(datfrozenxid) > current_setting('autovacuum_freeze_max_age')::bigint
                THEN 'an autovacuum to prevent wraparound does not give way to us' ELSE '' END
      FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 4, 'durability', format('synchronous_commit %%s, wal_level %%s, fsync %%s', current_setting('synchronous_commit'),
                                   current_setting('wal_level'), current_setting('fsync')), ''
    UNION ALL
    SELECT 5, 'other roles'' transactions', 'not shown to this role',
           'GRANT pg_read_all_stats shows them, replicas and vacuums in full' FROM mine WHERE NOT sees_all
    UNION ALL
    SELECT 6, format('transaction of pid %%s', pid),
           concat_ws(', ', format('open for %%s s', floor(extract(epoch FROM clock_timestamp() - xact_start))), state, usename,
                     coalesce(nullif(application_name, ''), 'no application name')),
           'a block that needs its tables waits until it ends'
      FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < clock_timestamp() - %(longer_than)s::interval
       AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    UNION ALL
    SELECT 7, format('prepared transaction %%s', gid),
           format('since %%s UTC, %%s', to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), owner),
           'keeps its locks until it is committed or rolled back'
      FROM pg_prepared_xacts WHERE database = current_database()
    UNION ALL
    SELECT 8, format('replica %%s', coalesce(nullif(application_name, ''), pid::text)),
           concat_ws(', ', state, sync_state, coalesce('behind by ' || pg_size_pretty(pg_wal_lsn_diff(wal.now, replay_lsn)),
                                                       'how far it is behind is not known')),
           CASE WHEN sync_state IN ('sync', 'quorum') THEN 'every commit waits for it' ELSE '' END
      FROM pg_stat_replication, wal
    UNION ALL
    SELECT 9, format('replication slot %%s', slot_name),
           format('%%s, keeps %%s of WAL', CASE WHEN active THEN 'active' ELSE 'not active' END,
                  coalesce(pg_size_pretty(pg_wal_lsn_diff(wal.now, restart_lsn)), 'nothing')), ''
      FROM pg_replication_slots, wal
    UNION ALL
    SELECT 10, format('index %%s', x.indexrelid::regclass), format('invalid, on %%s', x.indrelid::regclass),
           CASE WHEN x.indisready THEN 'is kept up by writes, and serves no query' ELSE 'serves no query' END
      FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND NOT x.indisvalid
    UNION ALL
    -- an autovacuum is stopped by the waiting session's check for deadlocks
    SELECT 11, format('vacuum of %%s', coalesce(p.relid::regclass::text, 'a table')),
           concat_ws(', ', 'pid ' || p.pid, a.backend_type, p.phase),
           CASE WHEN a.query LIKE '%%(to prevent wraparound)' THEN 'prevents wraparound: gives way to nobody'
                WHEN a.backend_type = 'autovacuum worker'
                THEN format('gives way to who waits for %%s, the deadlock_timeout', current_setting('deadlock_timeout'))
                ELSE 'a block that needs its table may have to wait until it ends' END
      FROM pg_stat_progress_vacuum p LEFT JOIN pg_stat_activity a USING (pid)
     WHERE p.datname = current_database()
  ) AS facts
 ORDER BY part, what
