-- title: Validate the domain's CHECK
-- why: Proves that the rows from before pass too. Reads every table that has a column of the domain, under SHARE up
--   to version 16 (who writes waits), under SHARE UPDATE EXCLUSIVE since 17 (nobody waits).
-- usage: psql -1 -v domain=source_name -v constraint=source_name_check -f domain.sql

ALTER DOMAIN :domain VALIDATE CONSTRAINT :"constraint";
