-- title: The connections have config
-- usage: psql -1 -v ON_ERROR_STOP=1 -v connections_table=connections -f 061_connections_config.sql

SELECT set_config('pgrunbook.connections_table', :'connections_table', true);

-- check: the connections have config, jsonb
DO $$
DECLARE
  connections text := current_setting('pgrunbook.connections_table');
  actual text;
BEGIN
  SELECT format_type(atttypid, atttypmod)
    INTO actual
    FROM pg_attribute
   WHERE attrelid = quote_ident(connections)::regclass AND attname = 'config' AND NOT attisdropped;
  IF actual IS DISTINCT FROM 'jsonb' THEN
    RAISE EXCEPTION '%.config: expected jsonb, found %',
      connections, coalesce(actual, 'no such column');
  END IF;
END $$;
