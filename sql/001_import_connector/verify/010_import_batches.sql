-- title: import_batches takes what it should, and nothing else
-- why: The probes write to a temporary copy, so that nothing stays, no trigger fires and no sequence moves.
--   Only the foreign key, which a copy cannot have, is tried on the table, and that insert is undone.

CREATE TEMP TABLE probe_import_batches (LIKE import_batches INCLUDING ALL EXCLUDING GENERATED) ON COMMIT DROP;

-- Columns that others added are not copied: their defaults might move a sequence.
DO $$
BEGIN
  EXECUTE coalesce((
    SELECT 'ALTER TABLE probe_import_batches ' || string_agg(format('DROP COLUMN %I', attname), ', ')
      FROM pg_attribute
     WHERE attrelid = 'probe_import_batches'::regclass AND attnum > 0 AND attname NOT IN (
             'id', 'workspace_id', 'entity_type', 'filename', 'source_crm', 'row_count',
             'records_inserted', 'records_updated', 'records_skipped', 'classification', 'warnings',
             'status', 'replace_strategy', 'uploaded_by', 'created_at', 'confirmed_at', 'applied_at')
  ), '');
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
  FOREACH mandatory IN ARRAY ARRAY['id', 'workspace_id', 'entity_type', 'filename', 'row_count', 'status'] LOOP
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

-- check: the foreign key of import_batches is not switched off
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'import_batches'::regclass AND contype = 'f')
     OR EXISTS (SELECT FROM pg_constraint
                  JOIN pg_trigger ON tgconstraint = pg_constraint.oid
                 WHERE conrelid = 'import_batches'::regclass AND contype = 'f' AND tgenabled NOT IN ('O', 'A')) THEN
    RAISE EXCEPTION 'import_batches: expected a foreign key with its triggers enabled, found none';
  END IF;
END $$;

-- check: a batch of an unknown workspace is rejected (not tried where others' triggers or columns would act)
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'import_batches'::regclass AND NOT tgisinternal)
     OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = 'import_batches'::regclass)
     OR EXISTS (SELECT attname FROM pg_attribute
                 WHERE attrelid = 'import_batches'::regclass AND attnum > 0 AND NOT attisdropped
                EXCEPT SELECT attname FROM pg_attribute WHERE attrelid = 'probe_import_batches'::regclass) THEN
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
