-- title: stage_mappings takes what it should, and nothing else
-- why: The probes write to a temporary copy, so that nothing stays, no trigger fires and no sequence moves.
--   Only the foreign key, which a copy cannot have, is tried on the table, and that insert is undone.

CREATE TEMP TABLE expected_stage_mappings (name, definition) ON COMMIT DROP AS VALUES
  ('id', 'uuid NOT NULL'),
  ('workspace_id', 'uuid NOT NULL'),
  ('source', 'text NOT NULL'),
  ('raw_stage', 'text NOT NULL'),
  ('normalized_stage', 'text NOT NULL'),
  ('is_open', 'boolean NOT NULL'),
  ('display_order', 'integer'),
  ('created_at', 'timestamp with time zone'),
  ('updated_at', 'timestamp with time zone');

CREATE TEMP TABLE probe_stage_mappings (LIKE stage_mappings INCLUDING ALL EXCLUDING GENERATED) ON COMMIT DROP;

-- The probes do without the columns that others added: their defaults might move a sequence.
DO $$
DECLARE
  others text;
BEGIN
  SELECT string_agg(format('DROP COLUMN %I', attname), ', ')
    INTO others
    FROM pg_attribute
   WHERE attrelid = 'probe_stage_mappings'::regclass AND attnum > 0
     AND attname NOT IN (SELECT name FROM expected_stage_mappings);
  IF others IS NOT NULL THEN
    EXECUTE 'ALTER TABLE probe_stage_mappings ' || others;
  END IF;
END $$;

-- check: each column of stage_mappings is there, of its type, and mandatory or not as defined
DO $$
DECLARE
  wrong text;
BEGIN
  SELECT string_agg(format('stage_mappings.%s: expected %s, found %s', name, definition,
                           coalesce(actual, 'no such column')), '; ')
    INTO wrong
    FROM expected_stage_mappings
    LEFT JOIN (
      SELECT attname,
             format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS actual
        FROM pg_attribute
       WHERE attrelid = 'stage_mappings'::regclass AND NOT attisdropped
    ) AS columns ON attname = name
   WHERE actual IS DISTINCT FROM definition;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION '%', wrong;
  END IF;
END $$;

-- check: no other column of stage_mappings is mandatory
DO $$
DECLARE
  others text;
BEGIN
  SELECT string_agg(attname, ', ')
    INTO others
    FROM pg_attribute
   WHERE attrelid = 'stage_mappings'::regclass AND attnum > 0 AND NOT attisdropped
     AND attnotnull AND NOT atthasdef AND attidentity = ''
     AND attname NOT IN (SELECT name FROM expected_stage_mappings);
  IF others IS NOT NULL THEN
    RAISE EXCEPTION 'stage_mappings: expected no other mandatory column, found %', others;
  END IF;
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
  FOR mandatory IN SELECT name FROM expected_stage_mappings WHERE definition LIKE '% NOT NULL' LOOP
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

-- check: stage_mappings.workspace_id has a foreign key to workspaces(id), validated and enabled
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_constraint AS fk
      JOIN pg_attribute AS a ON a.attrelid = fk.conrelid AND fk.conkey = ARRAY[a.attnum]
      JOIN pg_attribute AS b ON b.attrelid = fk.confrelid AND fk.confkey = ARRAY[b.attnum]
     WHERE fk.contype = 'f' AND fk.convalidated
       AND fk.conrelid = 'stage_mappings'::regclass AND a.attname = 'workspace_id'
       AND fk.confrelid = 'workspaces'::regclass AND b.attname = 'id'
       AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgconstraint = fk.oid AND tgenabled NOT IN ('O', 'A'))
  ) THEN
    RAISE EXCEPTION 'stage_mappings.workspace_id: expected a foreign key to workspaces(id), validated and '
      'with its triggers enabled, found none';
  END IF;
END $$;

-- check: a mapping of an unknown workspace is rejected (not tried where others' triggers or columns would act)
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'stage_mappings'::regclass AND NOT tgisinternal)
     OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = 'stage_mappings'::regclass)
     OR EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = 'stage_mappings'::regclass AND attnum > 0 AND NOT attisdropped
                   AND attname NOT IN (SELECT name FROM expected_stage_mappings)) THEN
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

-- check: the index of stage_mappings is there and valid
DO $$
DECLARE
  wrong text;
BEGIN
  SELECT string_agg(format('%s: expected %s, found %s', name, definition,
                           coalesce(actual, 'no such index')), '; ')
    INTO wrong
    FROM (VALUES ('idx_stage_mappings_workspace', 'btree (workspace_id, source)'))
         AS expected (name, definition)
    LEFT JOIN (
      SELECT relname,
             concat(CASE WHEN indisunique THEN 'UNIQUE ' END,
                    substring(pg_get_indexdef(indexrelid) FROM '.* USING (.*)'),
                    CASE WHEN NOT indisvalid THEN ', invalid' END) AS actual
        FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid
       WHERE indrelid = 'stage_mappings'::regclass
    ) AS indexes ON relname = name
   WHERE actual IS DISTINCT FROM definition;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION '%', wrong;
  END IF;
END $$;
