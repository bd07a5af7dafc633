-- title: The connections have last_sync_at
-- usage: psql -1 -v ON_ERROR_STOP=1 -v connections_table=connections -f 062_connections_last_sync_at.sql

SELECT set_config('pgrunbook.connections_table', :'connections_table', true);

-- check: the connections have last_sync_at, timestamp with time zone
DO $$
DECLARE
  connections text := current_setting('pgrunbook.connections_table');
  actual text;
BEGIN
  SELECT format_type(atttypid, atttypmod)
    INTO actual
    FROM pg_attribute
   WHERE attrelid = quote_ident(connections)::regclass AND attname = 'last_sync_at' AND NOT attisdropped;
  IF actual IS DISTINCT FROM 'timestamp with time zone' THEN
    RAISE EXCEPTION '%.last_sync_at: expected timestamp with time zone, found %',
      connections, coalesce(actual, 'no such column');
  END IF;
END $$;
