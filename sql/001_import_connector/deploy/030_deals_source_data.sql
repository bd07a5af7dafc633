-- title: Add deals.source_data where it is missing
-- why: A deal from a file keeps the batch that brought it and its row of the file. The default is
--   constant, so no row is rewritten; a block of its own, so that this table's lock is held for nothing else.
-- requires: deals (source, source_id)

ALTER TABLE deals ADD COLUMN IF NOT EXISTS source_data JSONB DEFAULT '{}';

COMMENT ON COLUMN deals.source_data IS
  'The row as its source gave it; for a file import {"import_batch_id": …, "original_row": …}';
