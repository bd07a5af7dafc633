-- title: Create import_batches
-- why: One row for each file that a workspace uploads: what it held, what became of it, and how far it got.
--   Rows of deals, contacts and accounts point back to it from source_data.

-- The counts are of the rows of one file: no file comes near the end of integer.
-- squawk-ignore-file prefer-bigint-over-int
CREATE TABLE import_batches (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id UUID NOT NULL REFERENCES workspaces(id),
  entity_type TEXT NOT NULL,
  filename TEXT NOT NULL,
  source_crm TEXT,
  row_count INTEGER NOT NULL,
  records_inserted INTEGER DEFAULT 0,
  records_updated INTEGER DEFAULT 0,
  records_skipped INTEGER DEFAULT 0,
  classification JSONB,
  warnings TEXT[],
  status TEXT NOT NULL DEFAULT 'pending',
  replace_strategy TEXT DEFAULT 'replace',
  uploaded_by TEXT,
  created_at TIMESTAMPTZ DEFAULT now(),
  confirmed_at TIMESTAMPTZ,
  applied_at TIMESTAMPTZ
);

CREATE INDEX idx_import_batches_workspace ON import_batches(workspace_id, created_at DESC);
CREATE INDEX idx_import_batches_status ON import_batches(workspace_id, status);

COMMENT ON TABLE import_batches IS 'Files that workspaces uploaded, one row a file';
COMMENT ON COLUMN import_batches.id IS 'Key; the records that the file brought hold it in source_data';
COMMENT ON COLUMN import_batches.workspace_id IS 'Workspace that the file was uploaded to';
COMMENT ON COLUMN import_batches.entity_type IS 'What the file holds: ''deal'', ''contact'', ''account''';
COMMENT ON COLUMN import_batches.filename IS 'Name of the file as it was uploaded';
COMMENT ON COLUMN import_batches.source_crm IS
  'CRM that the file was exported from: ''hubspot'', ''salesforce'', ''pipedrive'', ''unknown''';
COMMENT ON COLUMN import_batches.row_count IS 'Rows in the file, without its heading';
COMMENT ON COLUMN import_batches.records_inserted IS 'Rows of the file that became new records';
COMMENT ON COLUMN import_batches.records_updated IS 'Rows of the file that changed a record';
COMMENT ON COLUMN import_batches.records_skipped IS 'Rows of the file that were left out';
COMMENT ON COLUMN import_batches.classification IS 'DeepSeek column mapping result';
COMMENT ON COLUMN import_batches.warnings IS 'What the user was warned of, one text a warning';
COMMENT ON COLUMN import_batches.status IS
  'How far the import got: ''pending'', ''confirmed'', ''applied'', ''rolled_back''';
COMMENT ON COLUMN import_batches.replace_strategy IS
  'What happens to the records of earlier imports: ''replace'', ''merge'', ''append''';
COMMENT ON COLUMN import_batches.uploaded_by IS 'Who uploaded the file';
COMMENT ON COLUMN import_batches.created_at IS 'When the file was uploaded';
COMMENT ON COLUMN import_batches.confirmed_at IS 'When the user confirmed the column mapping';
COMMENT ON COLUMN import_batches.applied_at IS 'When the records were written';
