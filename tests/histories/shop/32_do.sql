DO $$
DECLARE
  each text;
BEGIN
  FOREACH each IN ARRAY ARRAY['red', 'blue'] LOOP
    EXECUTE format('CREATE TABLE IF NOT EXISTS archive.%I (id int PRIMARY KEY)', each);
  END LOOP;
EXCEPTION WHEN duplicate_table THEN
  RAISE NOTICE 'there already';
END $$;
