-- title: Drop contacts.source_data
-- why: Takes with it what imported contacts remember of their files.

ALTER TABLE contacts DROP COLUMN source_data;
