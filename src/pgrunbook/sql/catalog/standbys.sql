-- Does a commit wait for standbys, for which, and how many of them are there? Of other roles' sessions, a role without
-- pg_read_all_stats is told that they are there, and no more.
SELECT current_setting('synchronous_standby_names') AS names,
       current_setting('synchronous_standby_names') <> ''
           AND current_setting('synchronous_commit') NOT IN ('off', 'local')
           AND NOT pg_is_in_recovery() AS waits,
       (SELECT count(*) FROM pg_stat_replication) AS connected,
       (SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NOT NULL) > 0 AS shown,
       (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming') AS synchronous
