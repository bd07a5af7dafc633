-- title: Bring the former CHECK back
-- why: Fails, and changes nothing, while a row holds the value. Was it validated before, every row is read under
--   ACCESS EXCLUSIVE: a constraint cannot be validated in the transaction that makes it with less.
-- usage: psql -1 -v table=deals -v constraint=deals_source_check -v temporary=deals_source_check_new
--   -v previous="CHECK (source = 'crm')" -v comment='' -f check.sql

SELECT set_config(
  'pgrunbook.former', format('ALTER TABLE %s ADD CONSTRAINT %I %s', :'table', :'temporary', :'previous'), true
);
DO $$ BEGIN EXECUTE current_setting('pgrunbook.former'); END $$;
ALTER TABLE :table DROP CONSTRAINT :"constraint";
ALTER TABLE :table RENAME CONSTRAINT :"temporary" TO :"constraint";
COMMENT ON CONSTRAINT :"constraint" ON :table IS :'comment';
