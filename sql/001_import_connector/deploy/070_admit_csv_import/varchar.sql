-- title: Make the column just long enough for the value
-- why: varchar(n) is too short. A longer limit is a matter of the catalog: no row is written anew. But where a CHECK
--   reads the column, every row is read, under ACCESS EXCLUSIVE; char(n) is padded, so there every row is written anew.
-- usage: psql -1 -v table=deals -v column=source -v type='character varying(10)' -f varchar.sql
-- The limit only grows, so no client misses anything; where that rewrites rows is said above.
-- squawk-ignore-file changing-column-type

ALTER TABLE :table ALTER COLUMN :"column" TYPE :type;
