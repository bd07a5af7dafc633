-- title: The domain's CHECK is validated
-- why: Until then it holds for new values only.
-- usage: psql -1 -v ON_ERROR_STOP=1 -v domain=source_name -v constraint=source_name_check -f domain.sql

SELECT set_config('pgrunbook.domain', :'domain', true),
       set_config('pgrunbook.constraint', :'constraint', true);

-- check: the domain's CHECK is validated
DO $$
DECLARE
  found text;
BEGIN
  SELECT CASE WHEN convalidated THEN 'validated' ELSE 'NOT VALID' END
    INTO found
    FROM pg_constraint
   WHERE contypid = current_setting('pgrunbook.domain')::regtype
     AND contype = 'c' AND conname = current_setting('pgrunbook.constraint');
  IF found IS DISTINCT FROM 'validated' THEN
    RAISE EXCEPTION '%: expected CHECK % to be validated, found %', current_setting('pgrunbook.domain'),
      current_setting('pgrunbook.constraint'), coalesce(found, 'no such constraint');
  END IF;
END $$;
