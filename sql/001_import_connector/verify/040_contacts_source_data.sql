-- title: Contacts can tell which file they came from
-- why: The probes write to a copy that has this one column, with its default and its own checks. So no
--   trigger fires, no sequence moves, and what the other columns demand does not matter.

CREATE TEMP TABLE probe_contacts (LIKE contacts INCLUDING DEFAULTS INCLUDING CONSTRAINTS) ON COMMIT DROP;

DO $$
BEGIN
  EXECUTE (
    SELECT 'ALTER TABLE probe_contacts ' || string_agg(format('DROP COLUMN %I', attname), ', ')
      FROM pg_attribute
     WHERE attrelid = 'probe_contacts'::regclass AND attnum > 0 AND attname <> 'source_data'
  );
END $$;

-- check: contacts has source, source_id and source_data
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(name, ', ')
    INTO missing
    FROM unnest(ARRAY['source', 'source_id', 'source_data']) AS name
   WHERE NOT EXISTS (
     SELECT FROM pg_attribute WHERE attrelid = 'contacts'::regclass AND attname = name AND NOT attisdropped
   );
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'contacts: expected source, source_id and source_data, found no %', missing;
  END IF;
END $$;

-- check: contacts.source_data is jsonb
DO $$
DECLARE
  actual text;
BEGIN
  SELECT format_type(atttypid, atttypmod)
    INTO actual
    FROM pg_attribute
   WHERE attrelid = 'contacts'::regclass AND attname = 'source_data' AND NOT attisdropped;
  IF actual IS DISTINCT FROM 'jsonb' THEN
    RAISE EXCEPTION 'contacts.source_data: expected jsonb, found %', coalesce(actual, 'no such column');
  END IF;
END $$;

-- check: what fills in where contacts.source_data is left out, if anything, is a JSON object
DO $$
DECLARE
  actual jsonb;
BEGIN
  INSERT INTO probe_contacts DEFAULT VALUES RETURNING source_data INTO actual;
  IF jsonb_typeof(actual) <> 'object' THEN
    RAISE EXCEPTION 'contacts.source_data: expected an object to fill in, such as {}, found %', actual;
  END IF;
EXCEPTION WHEN not_null_violation THEN
  NULL;  -- nothing fills in: a column from before may ask every source for its data
END $$;

-- check: contacts.source_data stores the batch and the row of the file
DO $$
DECLARE
  given jsonb := jsonb_build_object(
    'import_batch_id', gen_random_uuid(),
    'original_row', '{"First Name": "Zoë", "E-mail": "zoe@acme.example"}'::jsonb
  );
  actual jsonb;
BEGIN
  INSERT INTO probe_contacts (source_data) VALUES (given) RETURNING source_data INTO actual;
  IF actual IS DISTINCT FROM given THEN
    RAISE EXCEPTION 'contacts.source_data: expected to read back %, found %', given, actual;
  END IF;
EXCEPTION WHEN integrity_constraint_violation THEN
  RAISE EXCEPTION 'contacts.source_data: expected to store %, found: %', given, SQLERRM;
END $$;
