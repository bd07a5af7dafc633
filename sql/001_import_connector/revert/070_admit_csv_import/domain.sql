-- title: Bring the domain's former CHECK back
-- why: Fails, and changes nothing, while a column of the domain holds the value. Was it validated before, every row
--   of every table with such a column is read.
-- usage: psql -1 -v domain=source_name -v constraint=source_name_check -v temporary=source_name_check_new
--   -v previous="CHECK (VALUE = 'crm')" -v comment='' -f domain.sql

SELECT set_config(
  'pgrunbook.former', format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', :'domain', :'temporary', :'previous'), true
);
DO $$ BEGIN EXECUTE current_setting('pgrunbook.former'); END $$;
ALTER DOMAIN :domain DROP CONSTRAINT :"constraint";
ALTER DOMAIN :domain RENAME CONSTRAINT :"temporary" TO :"constraint";
COMMENT ON CONSTRAINT :"constraint" ON DOMAIN :domain IS :'comment';
