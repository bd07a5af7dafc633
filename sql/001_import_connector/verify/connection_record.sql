-- title: A file-import connection can be stored
-- why: The proof of all that the connections table got: the record that the application writes for a file
--   import, written to a copy of the table. A copy has no triggers and no foreign keys, and this one leaves
--   empty what a sequence or somebody's function would fill, so that no sequence moves.
-- proves: 060_connections_source_label, 061_connections_config, 062_connections_last_sync_at
-- usage: psql -1 -v ON_ERROR_STOP=1 -v connections_table=connections -v source_type_column=source_type
--   -v value=csv_import -f connection_record.sql

SELECT set_config('pgrunbook.connections_table', :'connections_table', true),
       set_config('pgrunbook.source_type_column', :'source_type_column', true),
       set_config('pgrunbook.value', :'value', true);

CREATE TEMP TABLE probe_connection_record
  (LIKE :"connections_table" INCLUDING ALL EXCLUDING INDEXES) ON COMMIT DROP;

-- What every row gets without being asked for: the key, and what comes from a sequence or from a function
-- that is not PostgreSQL's own.
DO $$
DECLARE
  filled name;
BEGIN
  FOR filled IN
    SELECT attname
      FROM pg_attribute
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = 'probe_connection_record'::regclass AND attnum > 0
       AND attidentity = '' AND attgenerated = ''
       AND (attnum = ANY (
              SELECT unnest(conkey)
                FROM pg_constraint
               WHERE conrelid = quote_ident(current_setting('pgrunbook.connections_table'))::regclass
                 AND contype = 'p' AND cardinality(conkey) = 1)
            OR pg_get_expr(adbin, adrelid) LIKE '%nextval(%'
            OR EXISTS (
              SELECT FROM pg_depend
               WHERE classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid
                 AND refclassid = 'pg_proc'::regclass))
  LOOP
    EXECUTE format('ALTER TABLE probe_connection_record ALTER %1$I DROP DEFAULT, ALTER %1$I DROP NOT NULL',
                   filled);
  END LOOP;
END $$;

-- check: the connections ask for nothing that the record of a file import does not have
DO $$
DECLARE
  connections text := current_setting('pgrunbook.connections_table');
  others text;
BEGIN
  SELECT string_agg(attname, ', ')
    INTO others
    FROM pg_attribute
   WHERE attrelid = 'probe_connection_record'::regclass AND attnum > 0
     AND attnotnull AND NOT atthasdef AND attidentity = ''
     AND attname NOT IN ('workspace_id', 'source_label', 'config', 'last_sync_at',
                         current_setting('pgrunbook.source_type_column'));
  IF others IS NOT NULL THEN
    RAISE EXCEPTION '%: expected no mandatory column besides the record''s, found %', connections, others
      USING HINT = 'Give each of these columns a default, or let it be NULL.';
  END IF;
END $$;

-- check: the connections store the record of a file import
DO $$
DECLARE
  connections text := current_setting('pgrunbook.connections_table');
  type_column text := current_setting('pgrunbook.source_type_column');
  value text := current_setting('pgrunbook.value');
  expected jsonb := jsonb_build_object(type_column, value, 'source_label', 'HubSpot Export',
                                       'config', '{}'::jsonb, 'last_sync_at', now());
  actual jsonb;
BEGIN
  EXECUTE format(
    'INSERT INTO probe_connection_record AS record (workspace_id, %I, source_label, config, last_sync_at) '
    'VALUES (gen_random_uuid(), %L, ''HubSpot Export'', ''{}'', now()) RETURNING to_jsonb(record)',
    type_column, value
  ) INTO actual;
  IF NOT actual @> expected THEN
    RAISE EXCEPTION '%: expected to read back %, found %', connections, expected, actual;
  END IF;
EXCEPTION WHEN undefined_column OR integrity_constraint_violation OR data_exception THEN
  RAISE EXCEPTION '%: expected to store %, found: %', connections, expected, SQLERRM;
END $$;
