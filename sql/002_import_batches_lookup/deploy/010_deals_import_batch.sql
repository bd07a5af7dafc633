-- title: Index deals by the file that they came from
-- why: What a file brought is looked up by its batch, to show it or to roll it back. Only rows of files are in the index:
--   it is small, and no other write has to maintain it. Built CONCURRENTLY: reads and writes go on.
-- transaction: no
-- requires: deals (source); deals (source_data jsonb)

CREATE INDEX CONCURRENTLY idx_deals_import_batch ON deals ((source_data ->> 'import_batch_id'))
  WHERE source = 'csv_import';

COMMENT ON INDEX idx_deals_import_batch IS 'Deals from files by their import_batches.id';
