-- title: stage_mappings takes what it should, and nothing else
-- why: The probes write to a temporary copy, so that nothing stays, no trigger fires and no sequence moves.
--   Only the foreign key, which a copy cannot have, is tried on the table, and that insert is undone.

CREATE TEMP TABLE probe_stage_mappings (LIKE stage_mappings INCLUDING ALL EXCLUDING GENERATED) ON COMMIT DROP;

-- Columns that others added are not copied: their defaults might move a sequence.
DO $$
BEGIN
  EXECUTE coalesce((
    SELECT 'ALTER TABLE probe_stage_mappings ' || string_agg(format('DROP COLUMN %I', attname), ', ')
      FROM pg_attribute
     WHERE attrelid = 'probe_stage_mappings'::regclass AND attnum > 0 AND attname NOT IN (
             'id', 'workspace_id', 'source', 'raw_stage', 'normalized_stage', 'is_open', 'display_order',
             'created_at', 'updated_at')
  ), '');
END $$;

-- check: a mapping given only its mandatory columns gets an id, its source and times, and is open
DO $$
DECLARE
  expected jsonb := '{"source": "csv_import", "is_open": true, "display_order": 0}';
  mapping probe_stage_mappings;
BEGIN
  INSERT INTO probe_stage_mappings (workspace_id, raw_stage, normalized_stage)
  VALUES (gen_random_uuid(), 'Verbal Yes', 'negotiation')
  RETURNING * INTO mapping;
  IF NOT to_jsonb(mapping) @> expected THEN
    RAISE EXCEPTION 'stage_mappings: expected a new mapping to have %, found %', expected, to_jsonb(mapping);
  END IF;
  IF (mapping.created_at, mapping.updated_at) IS DISTINCT FROM (now(), now()) THEN
    RAISE EXCEPTION 'stage_mappings: expected created_at and updated_at to be the present, found % and %',
      mapping.created_at, mapping.updated_at;
  END IF;
EXCEPTION WHEN not_null_violation THEN
  RAISE EXCEPTION 'stage_mappings: expected what has a default to fill in, found: %', SQLERRM;
END $$;

-- check: NULL is rejected in every mandatory column of stage_mappings
DO $$
DECLARE
  mandatory text;
BEGIN
  INSERT INTO probe_stage_mappings (id, workspace_id, source, raw_stage, normalized_stage, is_open)
  VALUES (gen_random_uuid(), gen_random_uuid(), 'csv_import', 'Verbal Yes', 'negotiation', true);
  FOREACH mandatory IN ARRAY ARRAY['id', 'workspace_id', 'source', 'raw_stage', 'normalized_stage', 'is_open'] LOOP
    BEGIN
      EXECUTE format('UPDATE probe_stage_mappings SET %I = NULL', mandatory);
      RAISE EXCEPTION 'stage_mappings.%: expected NULL to be rejected, found it stored', mandatory;
    EXCEPTION WHEN not_null_violation THEN
      NULL;
    END;
  END LOOP;
END $$;

-- check: a second mapping with the same id is rejected
DO $$
DECLARE
  taken uuid := gen_random_uuid();
BEGIN
  INSERT INTO probe_stage_mappings (id, workspace_id, source, raw_stage, normalized_stage, is_open)
  VALUES (taken, gen_random_uuid(), 'csv_import', 'Verbal Yes', 'negotiation', true);
  BEGIN
    INSERT INTO probe_stage_mappings (id, workspace_id, source, raw_stage, normalized_stage, is_open)
    VALUES (taken, gen_random_uuid(), 'csv_import', 'Signed', 'closed_won', false);
    RAISE EXCEPTION 'stage_mappings.id: expected the same id to be rejected, found it stored twice';
  EXCEPTION WHEN unique_violation THEN
    NULL;
  END;
END $$;

-- check: a stage is mapped once for each workspace and source, and again for another of either
DO $$
DECLARE
  ours uuid := gen_random_uuid();
  other uuid := gen_random_uuid();
BEGIN
  BEGIN
    INSERT INTO probe_stage_mappings (id, workspace_id, source, raw_stage, normalized_stage, is_open)
    VALUES (gen_random_uuid(), ours, 'csv_import', 'Verbal Yes', 'negotiation', true),
           (gen_random_uuid(), ours, 'csv_import', 'Signed', 'closed_won', false),
           (gen_random_uuid(), ours, 'hubspot', 'Verbal Yes', 'negotiation', true),
           (gen_random_uuid(), other, 'csv_import', 'Verbal Yes', 'proposal', true);
  EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'stage_mappings: expected a stage to be mapped again for another workspace or source, '
      'found: %', SQLERRM;
  END;
  BEGIN
    INSERT INTO probe_stage_mappings (id, workspace_id, source, raw_stage, normalized_stage, is_open)
    VALUES (gen_random_uuid(), ours, 'csv_import', 'Verbal Yes', 'closed_won', false);
    RAISE EXCEPTION 'stage_mappings: expected a second mapping of the same (workspace_id, source, raw_stage) '
      'to be rejected, found it stored';
  EXCEPTION WHEN unique_violation THEN
    NULL;
  END;
END $$;

-- check: the foreign key of stage_mappings is not switched off
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'stage_mappings'::regclass AND contype = 'f')
     OR EXISTS (SELECT FROM pg_constraint
                  JOIN pg_trigger ON tgconstraint = pg_constraint.oid
                 WHERE conrelid = 'stage_mappings'::regclass AND contype = 'f' AND tgenabled NOT IN ('O', 'A')) THEN
    RAISE EXCEPTION 'stage_mappings: expected a foreign key with its triggers enabled, found none';
  END IF;
END $$;

-- check: a mapping of an unknown workspace is rejected (not tried where others' triggers or columns would act)
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'stage_mappings'::regclass AND NOT tgisinternal)
     OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = 'stage_mappings'::regclass)
     OR EXISTS (SELECT attname FROM pg_attribute
                 WHERE attrelid = 'stage_mappings'::regclass AND attnum > 0 AND NOT attisdropped
                EXCEPT SELECT attname FROM pg_attribute WHERE attrelid = 'probe_stage_mappings'::regclass) THEN
    RAISE NOTICE 'not tried: the table has triggers, rules or columns that are not ours';
    RETURN;
  END IF;
  INSERT INTO stage_mappings (id, workspace_id, source, raw_stage, normalized_stage, is_open)
  VALUES (gen_random_uuid(), gen_random_uuid(), 'csv_import', 'Verbal Yes', 'negotiation', true);
  RAISE EXCEPTION 'stage_mappings.workspace_id: expected an unknown workspace to be rejected, '
    'found it stored';
EXCEPTION WHEN foreign_key_violation THEN
  NULL;
END $$;
