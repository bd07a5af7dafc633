-- title: The CHECK is validated
-- why: Until then it holds for new rows only.
-- usage: psql -1 -v ON_ERROR_STOP=1 -v table=deals -v constraint=deals_source_check -f check.sql

SELECT set_config('pgrunbook.table', :'table', true),
       set_config('pgrunbook.constraint', :'constraint', true);

-- check: the CHECK is validated
DO $$
DECLARE
  found text;
BEGIN
  SELECT CASE WHEN convalidated THEN 'validated' ELSE 'NOT VALID' END
    INTO found
    FROM pg_constraint
   WHERE conrelid = current_setting('pgrunbook.table')::regclass
     AND contype = 'c' AND conname = current_setting('pgrunbook.constraint');
  IF found IS DISTINCT FROM 'validated' THEN
    RAISE EXCEPTION '%: expected CHECK % to be validated, found %', current_setting('pgrunbook.table'),
      current_setting('pgrunbook.constraint'), coalesce(found, 'no such constraint');
  END IF;
END $$;
