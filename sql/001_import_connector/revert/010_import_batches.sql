-- title: Drop import_batches
-- why: Takes with it the record of every upload.

DROP TABLE import_batches;
