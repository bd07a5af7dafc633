-- What is going on in this database that a change of its schema has to live with?
WITH mine AS (
  SELECT pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') AS sees_all
), wal AS (
  SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS now
)
SELECT what, found, remark
  FROM (
    SELECT 1 AS part, 'size of the database' AS what, pg_size_pretty(pg_database_size(current_database())) AS found,
           '' AS remark
    UNION ALL
    SELECT 2, 'sessions', format('%%s of %%s', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
                                 current_setting('max_connections')), ''
    UNION ALL
    SELECT 3, 'age of the oldest transaction id',
           format('%%s of %%s', age(datfrozenxid), current_setting('autovacuum_freeze_max_age')),
           CASE WHEN age(datfrozenxid) > current_setting('autovacuum_freeze_max_age')::bigint
                THEN 'an autovacuum to prevent wraparound does not give way to us' ELSE '' END
      FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 4, 'durability', format('synchronous_commit %%s, wal_level %%s, fsync %%s', current_setting('synchronous_commit'),
                                   current_setting('wal_level'), current_setting('fsync')), ''
    UNION ALL
    SELECT 5, 'transactions open for more than a minute', 'only those of this role can be seen',
           'GRANT pg_read_all_stats shows the others' FROM mine WHERE NOT sees_all
    UNION ALL
    SELECT 6, format('transaction of pid %%s', pid),
           format('open for %%s s, %%s, %%s, %%s', floor(extract(epoch FROM clock_timestamp() - xact_start)), state, usename,
                  coalesce(nullif(application_name, ''), 'no name')),
           'blocks that need its tables wait until it ends'
      FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < clock_timestamp() - interval '1 minute'
       AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    UNION ALL
    SELECT 7, format('prepared transaction %%s', gid),
           format('since %%s, %%s', to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), owner),
           'keeps its locks until it is committed or rolled back'
      FROM pg_prepared_xacts WHERE database = current_database()
    UNION ALL
    SELECT 8, format('replica %%s', coalesce(nullif(application_name, ''), pid::text)),
           format('%%s, %%s, behind by %%s', state, sync_state,
                  coalesce(pg_size_pretty(pg_wal_lsn_diff(wal.now, replay_lsn)), 'an amount that this role cannot see')),
           CASE WHEN sync_state IN ('sync', 'quorum') THEN 'every commit waits for it' ELSE '' END
      FROM pg_stat_replication, wal
    UNION ALL
    SELECT 9, format('replication slot %%s', slot_name),
           format('%%s, keeps %%s of WAL', CASE WHEN active THEN 'active' ELSE 'not active' END,
                  coalesce(pg_size_pretty(pg_wal_lsn_diff(wal.now, restart_lsn)), 'nothing')), ''
      FROM pg_replication_slots, wal
    UNION ALL
    SELECT 10, format('index %%s', x.indexrelid::regclass), format('invalid, on %%s', x.indrelid::regclass),
           'is kept up by writes, and serves no query'
      FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND NOT x.indisvalid
    UNION ALL
    SELECT 11, format('vacuum of %%s', p.relid::regclass), format('pid %%s, %%s', p.pid, p.phase),
           'an autovacuum gives way to a block, unless it prevents wraparound'
      FROM pg_stat_progress_vacuum p WHERE p.datname = current_database()
  ) AS facts
 ORDER BY part, what
