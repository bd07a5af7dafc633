-- title: Drop accounts.source_data
-- why: Takes with it what imported accounts remember of their files.

ALTER TABLE accounts DROP COLUMN source_data;
