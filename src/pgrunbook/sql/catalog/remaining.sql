-- Let this transaction wait for locks for as long as is left of so many milliseconds since `begun`, in which all of its
-- locks are to be had; the next statement as a whole, if it gets no timeout of its own. What time is it, in seconds?
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
       set_config('lock_timeout', remaining, true),
       set_config('statement_timeout', coalesce(%(statement_timeout)s, remaining), true)
  FROM nullif(current_setting('pgrunbook.began', true), '') AS b (began)
 CROSS JOIN LATERAL (
    SELECT greatest(%(least_ms)s, %(wait_ms)s - (extract(epoch FROM clock_timestamp()) - began::numeric) * 1000)) AS g (ms)
 CROSS JOIN LATERAL (SELECT ms::integer::text) AS r (remaining)
