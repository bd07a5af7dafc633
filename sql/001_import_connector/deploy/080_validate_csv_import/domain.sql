-- title: Validate the domain's CHECK
-- why: Proves that the rows from before pass too. Reads every table that has a column of the domain, under SHARE: who
--   writes to one of them waits, who reads does not.
-- accepts: scans_under_lock, locks_out_writes
-- usage: psql -1 -v domain=source_name -v constraint=source_name_check -f domain.sql

ALTER DOMAIN :domain VALIDATE CONSTRAINT :"constraint";
