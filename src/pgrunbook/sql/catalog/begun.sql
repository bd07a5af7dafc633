-- Set the timeouts of this transaction. What time is it, in seconds, and which relations were there before: those up to
-- which OID? Of relations made since, some may have a lower one, where OIDs have started anew.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
       max(oid)::bigint AS last,
       set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('idle_in_transaction_session_timeout', %(idle_in_transaction_session_timeout)s, true)
  FROM pg_class
