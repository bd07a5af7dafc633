-- title: Validate the CHECK
-- why: Proves that the rows from before pass too. Reads every row under SHARE UPDATE EXCLUSIVE: nobody who reads or
--   writes the table waits.
-- statement_timeout: 6h
-- usage: psql -1 -v table=deals -v constraint=deals_source_check -f check.sql

ALTER TABLE :table VALIDATE CONSTRAINT :"constraint";
