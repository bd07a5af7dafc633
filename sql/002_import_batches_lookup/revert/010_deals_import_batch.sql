-- title: Drop the index of deals by file
-- why: Reads and writes go on. What a file brought is then found by reading every deal.
-- transaction: no

DROP INDEX CONCURRENTLY idx_deals_import_batch;
