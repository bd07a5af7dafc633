-- title: Give the column its former length
-- why: Fails, and changes nothing, while a row holds a longer value. Every row is read and written anew under
--   ACCESS EXCLUSIVE.
-- usage: psql -1 -v table=deals -v column=source -v previous='character varying(6)' -f varchar.sql

ALTER TABLE :table ALTER COLUMN :"column" TYPE :previous;
