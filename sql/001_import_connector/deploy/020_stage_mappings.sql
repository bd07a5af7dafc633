-- title: Create stage_mappings
-- why: Workspace-level configuration that persists across imports: when a consultant maps "Verbal Yes" to
--   negotiation, the mapping applies by itself on the next upload.

-- display_order counts the stages of one workspace: integer is wide enough.
-- squawk-ignore-file prefer-bigint-over-int
CREATE TABLE stage_mappings (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id UUID NOT NULL REFERENCES workspaces(id),
  source TEXT NOT NULL DEFAULT 'csv_import',
  raw_stage TEXT NOT NULL,
  normalized_stage TEXT NOT NULL,
  is_open BOOLEAN NOT NULL DEFAULT true,
  display_order INTEGER DEFAULT 0,
  created_at TIMESTAMPTZ DEFAULT now(),
  updated_at TIMESTAMPTZ DEFAULT now(),
  UNIQUE(workspace_id, source, raw_stage)
);

CREATE INDEX idx_stage_mappings_workspace ON stage_mappings(workspace_id, source);

COMMENT ON TABLE stage_mappings IS
  'Workspace-level configuration that persists across imports: what each stage of a source means';
COMMENT ON COLUMN stage_mappings.id IS 'Key';
COMMENT ON COLUMN stage_mappings.workspace_id IS 'Workspace that the mapping belongs to';
COMMENT ON COLUMN stage_mappings.source IS
  'Source whose stages are mapped: ''csv_import''; could also be ''hubspot'', ''salesforce''';
COMMENT ON COLUMN stage_mappings.raw_stage IS 'Stage as the source writes it, such as ''Verbal Yes''';
COMMENT ON COLUMN stage_mappings.normalized_stage IS
  'Stage that it means: '
  '''discovery'', ''qualification'', ''proposal'', ''negotiation'', ''closed_won'', ''closed_lost''';
COMMENT ON COLUMN stage_mappings.is_open IS 'Whether a deal in this stage is still open';
COMMENT ON COLUMN stage_mappings.display_order IS 'Place of the stage in lists, smallest first';
COMMENT ON COLUMN stage_mappings.created_at IS 'When the stage was first mapped';
COMMENT ON COLUMN stage_mappings.updated_at IS 'When the mapping last changed';
