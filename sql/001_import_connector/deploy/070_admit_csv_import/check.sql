-- title: Replace the CHECK by one that accepts the value as well
-- why: NOT VALID spares reading the rows under ACCESS EXCLUSIVE, which is held for an instant. New rows are checked
--   at once, the old ones by 080. The name stays the same, and so does the comment (an empty one is none).
-- usage: psql -1 -v table=deals -v constraint=deals_source_check -v temporary=deals_source_check_new
--   -v expression="source IN ('crm', 'csv_import')" -v comment='' -f check.sql
-- The constraint is replaced in one transaction: nobody sees it gone, or under another name.
-- squawk-ignore-file ban-drop-constraint, renaming-object

ALTER TABLE :table ADD CONSTRAINT :"temporary" CHECK (:expression) NOT VALID;
ALTER TABLE :table DROP CONSTRAINT :"constraint";
ALTER TABLE :table RENAME CONSTRAINT :"temporary" TO :"constraint";
COMMENT ON CONSTRAINT :"constraint" ON :table IS :'comment';
