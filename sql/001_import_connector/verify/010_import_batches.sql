-- title: import_batches takes what it should, and nothing else
-- why: The probes write to a temporary copy, so that nothing stays, no trigger fires and no sequence moves.
--   Only the foreign key, which a copy cannot have, is tried on the table, and that insert is undone.

CREATE TEMP TABLE expected_import_batches (name, definition) ON COMMIT DROP AS VALUES
  ('id', 'uuid NOT NULL'),
  ('workspace_id', 'uuid NOT NULL'),
  ('entity_type', 'text NOT NULL'),
  ('filename', 'text NOT NULL'),
  ('source_crm', 'text'),
  ('row_count', 'integer NOT NULL'),
  ('records_inserted', 'integer'),
  ('records_updated', 'integer'),
  ('records_skipped', 'integer'),
  ('classification', 'jsonb'),
  ('warnings', 'text[]'),
  ('status', 'text NOT NULL'),
  ('replace_strategy', 'text'),
  ('uploaded_by', 'text'),
  ('created_at', 'timestamp with time zone'),
  ('confirmed_at', 'timestamp with time zone'),
  ('applied_at', 'timestamp with time zone');

CREATE TEMP TABLE probe_import_batches (LIKE import_batches INCLUDING ALL EXCLUDING GENERATED) ON COMMIT DROP;

-- The probes do without the columns that others added: their defaults might move a sequence.
DO $$
DECLARE
  others text;
BEGIN
  SELECT string_agg(format('DROP COLUMN %I', attname), ', ')
    INTO others
    FROM pg_attribute
   WHERE attrelid = 'probe_import_batches'::regclass AND attnum > 0
     AND attname NOT IN (SELECT name FROM expected_import_batches);
  IF others IS NOT NULL THEN
    EXECUTE 'ALTER TABLE probe_import_batches ' || others;
  END IF;
END $$;

-- check: each column of import_batches is there, of its type, and mandatory or not as defined
DO $$
DECLARE
  wrong text;
BEGIN
  SELECT string_agg(format('import_batches.%s: expected %s, found %s', name, definition,
                           coalesce(actual, 'no such column')), '; ')
    INTO wrong
    FROM expected_import_batches
    LEFT JOIN (
      SELECT attname,
             format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS actual
        FROM pg_attribute
       WHERE attrelid = 'import_batches'::regclass AND NOT attisdropped
    ) AS columns ON attname = name
   WHERE actual IS DISTINCT FROM definition;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION '%', wrong;
  END IF;
END $$;

-- check: no other column of import_batches is mandatory
DO $$
DECLARE
  others text;
BEGIN
  SELECT string_agg(attname, ', ')
    INTO others
    FROM pg_attribute
   WHERE attrelid = 'import_batches'::regclass AND attnum > 0 AND NOT attisdropped
     AND attnotnull AND NOT atthasdef AND attidentity = ''
     AND attname NOT IN (SELECT name FROM expected_import_batches);
  IF others IS NOT NULL THEN
    RAISE EXCEPTION 'import_batches: expected no other mandatory column, found %', others;
  END IF;
END $$;

-- check: a batch given only its mandatory columns gets an id, the time, counters, status and strategy
DO $$
DECLARE
  expected jsonb := '{"status": "pending", "replace_strategy": "replace",
                      "records_inserted": 0, "records_updated": 0, "records_skipped": 0}';
  batch probe_import_batches;
BEGIN
  INSERT INTO probe_import_batches (workspace_id, entity_type, filename, row_count)
  VALUES (gen_random_uuid(), 'deal', 'deals.csv', 120)
  RETURNING * INTO batch;
  IF NOT to_jsonb(batch) @> expected THEN
    RAISE EXCEPTION 'import_batches: expected a new batch to have %, found %', expected, to_jsonb(batch);
  END IF;
  IF batch.created_at IS DISTINCT FROM now() THEN
    RAISE EXCEPTION 'import_batches.created_at: expected the time of the upload, found %', batch.created_at;
  END IF;
EXCEPTION WHEN not_null_violation THEN
  RAISE EXCEPTION 'import_batches: expected what has a default to fill in, found: %', SQLERRM;
END $$;

-- check: NULL is rejected in every mandatory column of import_batches
DO $$
DECLARE
  mandatory text;
BEGIN
  INSERT INTO probe_import_batches (id, workspace_id, entity_type, filename, row_count, status)
  VALUES (gen_random_uuid(), gen_random_uuid(), 'deal', 'deals.csv', 120, 'pending');
  FOR mandatory IN SELECT name FROM expected_import_batches WHERE definition LIKE '% NOT NULL' LOOP
    BEGIN
      EXECUTE format('UPDATE probe_import_batches SET %I = NULL', mandatory);
      RAISE EXCEPTION 'import_batches.%: expected NULL to be rejected, found it stored', mandatory;
    EXCEPTION WHEN not_null_violation THEN
      NULL;
    END;
  END LOOP;
END $$;

-- check: a second batch with the same id is rejected
DO $$
DECLARE
  taken uuid := gen_random_uuid();
BEGIN
  INSERT INTO probe_import_batches (id, workspace_id, entity_type, filename, row_count, status)
  VALUES (taken, gen_random_uuid(), 'deal', 'deals.csv', 120, 'pending');
  BEGIN
    INSERT INTO probe_import_batches (id, workspace_id, entity_type, filename, row_count, status)
    VALUES (taken, gen_random_uuid(), 'contact', 'contacts.csv', 80, 'pending');
    RAISE EXCEPTION 'import_batches.id: expected the same id to be rejected, found it stored twice';
  EXCEPTION WHEN unique_violation THEN
    NULL;
  END;
END $$;

-- check: a batch stores its column mapping as jsonb and its warnings as an array
DO $$
DECLARE
  mapping jsonb := '{"Deal Name": {"column": "name", "confidence": 0.98}, "Stage": null}';
  texts text[] := ARRAY['Row 7: no amount', 'Row 9: "1.200,50" read as 1200.50'];
  batch probe_import_batches;
BEGIN
  INSERT INTO probe_import_batches
         (id, workspace_id, entity_type, filename, row_count, status, classification, warnings)
  VALUES (gen_random_uuid(), gen_random_uuid(), 'deal', 'deals.csv', 120, 'pending', mapping, texts)
  RETURNING * INTO batch;
  IF to_jsonb(batch) -> 'classification' IS DISTINCT FROM mapping
     OR to_jsonb(batch) -> 'warnings' IS DISTINCT FROM to_jsonb(texts) THEN
    RAISE EXCEPTION 'import_batches: expected to read back % and %, found % and %',
      mapping, texts, batch.classification, batch.warnings;
  END IF;
END $$;

-- check: import_batches.workspace_id has a foreign key to workspaces(id), validated and enabled
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_constraint AS fk
      JOIN pg_attribute AS a ON a.attrelid = fk.conrelid AND fk.conkey = ARRAY[a.attnum]
      JOIN pg_attribute AS b ON b.attrelid = fk.confrelid AND fk.confkey = ARRAY[b.attnum]
     WHERE fk.contype = 'f' AND fk.convalidated
       AND fk.conrelid = 'import_batches'::regclass AND a.attname = 'workspace_id'
       AND fk.confrelid = 'workspaces'::regclass AND b.attname = 'id'
       AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgconstraint = fk.oid AND tgenabled NOT IN ('O', 'A'))
  ) THEN
    RAISE EXCEPTION 'import_batches.workspace_id: expected a foreign key to workspaces(id), validated and '
      'with its triggers enabled, found none';
  END IF;
END $$;

-- check: a batch of an unknown workspace is rejected (not tried where others' triggers or columns would act)
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'import_batches'::regclass AND NOT tgisinternal)
     OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = 'import_batches'::regclass)
     OR EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = 'import_batches'::regclass AND attnum > 0 AND NOT attisdropped
                   AND attname NOT IN (SELECT name FROM expected_import_batches)) THEN
    RAISE NOTICE 'not tried: the table has triggers, rules or columns that are not ours';
    RETURN;
  END IF;
  INSERT INTO import_batches (id, workspace_id, entity_type, filename, row_count, status)
  VALUES (gen_random_uuid(), gen_random_uuid(), 'deal', 'deals.csv', 120, 'pending');
  RAISE EXCEPTION 'import_batches.workspace_id: expected an unknown workspace to be rejected, '
    'found it stored';
EXCEPTION WHEN foreign_key_violation THEN
  NULL;
END $$;

-- check: the indexes of import_batches are there and valid
DO $$
DECLARE
  wrong text;
BEGIN
  SELECT string_agg(format('%s: expected %s, found %s', name, definition,
                           coalesce(actual, 'no such index')), '; ')
    INTO wrong
    FROM (VALUES ('idx_import_batches_workspace', 'btree (workspace_id, created_at DESC)'),
                 ('idx_import_batches_status', 'btree (workspace_id, status)'))
         AS expected (name, definition)
    LEFT JOIN (
      SELECT relname,
             concat(CASE WHEN indisunique THEN 'UNIQUE ' END,
                    substring(pg_get_indexdef(indexrelid) FROM '.* USING (.*)'),
                    CASE WHEN NOT indisvalid THEN ', invalid' END) AS actual
        FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid
       WHERE indrelid = 'import_batches'::regclass
    ) AS indexes ON relname = name
   WHERE actual IS DISTINCT FROM definition;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION '%', wrong;
  END IF;
END $$;
