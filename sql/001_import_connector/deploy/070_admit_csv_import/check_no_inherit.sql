-- title: Replace the CHECK, which child tables do not inherit, by one that accepts the value as well
-- why: As check.sql, for a constraint with NO INHERIT.
-- usage: psql -1 -v table=deals -v constraint=deals_source_check -v temporary=deals_source_check_new
--   -v expression="source IN ('crm', 'csv_import')" -v comment='' -f check_no_inherit.sql
-- The constraint is replaced in one transaction: nobody sees it gone, or under another name.
-- squawk-ignore-file ban-drop-constraint, renaming-object

ALTER TABLE :table ADD CONSTRAINT :"temporary" CHECK (:expression) NO INHERIT NOT VALID;
ALTER TABLE :table DROP CONSTRAINT :"constraint";
ALTER TABLE :table RENAME CONSTRAINT :"temporary" TO :"constraint";
COMMENT ON CONSTRAINT :"constraint" ON :table IS :'comment';
