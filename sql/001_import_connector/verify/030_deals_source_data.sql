-- title: Deals, contacts and accounts can tell which file they came from
-- why: The probes write to a copy of each table that has these two columns, with their defaults and checks. So no trigger
--   fires, no sequence moves, and what the other columns demand does not matter.
-- proves: 040_contacts_source_data, 050_accounts_source_data

CREATE FUNCTION pg_temp.prove(origin regclass, row_of_file jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  given constant jsonb := jsonb_build_object('import_batch_id', gen_random_uuid(), 'original_row', row_of_file);
  kept jsonb;
BEGIN
  EXECUTE format('CREATE TEMP TABLE probe (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS) ON COMMIT DROP', origin);
  EXECUTE (
    SELECT 'ALTER TABLE probe ' || string_agg(format('DROP COLUMN %I', attname), ', ')
      FROM pg_attribute
     WHERE attrelid = 'probe'::regclass AND attnum > 0 AND attname NOT IN ('source_id', 'source_data')
  );
  BEGIN
    INSERT INTO probe (source_id, source_data) VALUES ('deals.csv:7', given);
    SELECT source_data INTO kept FROM probe WHERE source_data ->> 'import_batch_id' = given ->> 'import_batch_id';
  EXCEPTION WHEN integrity_constraint_violation OR data_exception OR syntax_error_or_access_rule_violation THEN
    RAISE EXCEPTION '%.source_data: expected to store %, and to find it by its batch, found: %', origin, given, SQLERRM;
  END;
  IF kept IS DISTINCT FROM given THEN
    RAISE EXCEPTION '%.source_data: expected to read back %, found %', origin, given, kept;
  END IF;
  BEGIN
    INSERT INTO probe (source_id) VALUES ('deals.csv:8') RETURNING source_data INTO kept;
    IF jsonb_typeof(kept) <> 'object' THEN
      RAISE EXCEPTION '%.source_data: expected an object to fill in, such as {}, found %', origin, kept;
    END IF;
  EXCEPTION WHEN not_null_violation THEN
    NULL; -- nothing fills in: a column from before may ask every source for its data
  END;
  DROP TABLE probe;
END $$;

-- check: deals keep the batch and the row of the file; what fills in for other deals, if anything, is an object
DO $$ BEGIN PERFORM pg_temp.prove('deals', '{"Deal name": "Acme, renewal", "Amount": "1,200.50"}'); END $$;

-- check: contacts keep the batch and the row of the file; what fills in for other contacts, if anything, is an object
DO $$ BEGIN PERFORM pg_temp.prove('contacts', '{"First Name": "Zoë", "E-mail": "zoe@acme.example"}'); END $$;

-- check: accounts keep the batch and the row of the file; what fills in for other accounts, if anything, is an object
DO $$ BEGIN PERFORM pg_temp.prove('accounts', '{"Company name": "Acme \"Europe\" BV", "Employees": "120"}'); END $$;

DROP FUNCTION pg_temp.prove(regclass, jsonb);
