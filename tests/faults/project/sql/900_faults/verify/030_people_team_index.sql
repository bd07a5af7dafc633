-- title: teams find their people by an index

-- check: the index is valid
DO $$
BEGIN
  IF NOT (SELECT indisvalid FROM pg_index WHERE indexrelid = 'people_team'::regclass) THEN
    RAISE EXCEPTION 'the index is not valid';
  END IF;
END $$;
