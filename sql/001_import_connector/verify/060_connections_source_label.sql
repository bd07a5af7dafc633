-- title: The connections have source_label
-- usage: psql -1 -v ON_ERROR_STOP=1 -v connections_table=connections -f 060_connections_source_label.sql

SELECT set_config('pgrunbook.connections_table', :'connections_table', true);

-- check: the connections have source_label, text
DO $$
DECLARE
  connections text := current_setting('pgrunbook.connections_table');
  actual text;
BEGIN
  SELECT format_type(atttypid, atttypmod)
    INTO actual
    FROM pg_attribute
   WHERE attrelid = quote_ident(connections)::regclass AND attname = 'source_label' AND NOT attisdropped;
  IF actual IS DISTINCT FROM 'text' THEN
    RAISE EXCEPTION '%.source_label: expected text, found %',
      connections, coalesce(actual, 'no such column');
  END IF;
END $$;
