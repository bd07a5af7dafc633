-- Set the timeouts of this transaction. What time is it, in seconds?
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
       set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('idle_in_transaction_session_timeout', %(idle_in_transaction_session_timeout)s, true)
