-- title: Drop deals.source_data
-- why: Takes with it what imported deals remember of their files.

ALTER TABLE deals DROP COLUMN source_data;
