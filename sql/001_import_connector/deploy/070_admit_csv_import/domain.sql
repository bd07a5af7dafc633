-- title: Replace the domain's CHECK by one that accepts the value as well
-- why: As check.sql, but no table is locked. Every column of the domain accepts the value from then on.
-- usage: psql -1 -v domain=source_name -v constraint=source_name_check -v temporary=source_name_check_new
--   -v expression="VALUE IN ('crm', 'csv_import')" -v comment='' -f domain.sql
-- The domain and its constraint are there already; they are replaced in one transaction, so nobody sees a gap.
-- squawk-ignore-file ban-drop-constraint, renaming-object, ban-alter-domain-with-add-constraint

ALTER DOMAIN :domain ADD CONSTRAINT :"temporary" CHECK (:expression) NOT VALID;
ALTER DOMAIN :domain DROP CONSTRAINT :"constraint";
ALTER DOMAIN :domain RENAME CONSTRAINT :"temporary" TO :"constraint";
COMMENT ON CONSTRAINT :"constraint" ON DOMAIN :domain IS :'comment';
