-- Set the timeouts of this transaction, and let its commit wait for standbys as the role's would: nothing else that the
-- session writes does. Where it is to see every row, PostgreSQL raises an error if row security would hide some. What time is
-- it, in seconds? Are there standbys to wait for? The newest relation is noted for `before`.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
       set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('idle_in_transaction_session_timeout', %(idle_in_transaction_session_timeout)s, true),
       set_config('row_security', CASE WHEN %(sees_every_row)s THEN 'off' ELSE current_setting('row_security') END, true),
       set_config('synchronous_commit', own, true),
       set_config('pgrunbook.synchronous_commit', own, true),
       current_setting('synchronous_standby_names') <> '' AND own NOT IN ('off', 'local') AS awaits,
       set_config('pgrunbook.began', extract(epoch FROM clock_timestamp())::text, true), -- after the message was parsed
       set_config('pgrunbook.newest', (SELECT max(oid)::text FROM pg_class), true)
  FROM coalesce(nullif(current_setting('pgrunbook.synchronous_commit', true), ''), current_setting('synchronous_commit')) AS c (own)
