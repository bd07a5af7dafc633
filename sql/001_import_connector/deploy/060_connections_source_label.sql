-- title: Add source_label to the connections where it is missing
-- why: A file has no account to name the source after, so the user names it.
-- requires: :"connections_table" (workspace_id uuid)
-- fills: :"connections_table" (workspace_id, :"source_type_column", source_label, config, last_sync_at)
-- usage: psql -1 -v connections_table=connections -f 060_connections_source_label.sql

ALTER TABLE :"connections_table" ADD COLUMN IF NOT EXISTS source_label TEXT;

COMMENT ON COLUMN :"connections_table".source_label IS
  'Name that the user gave the source, such as ''HubSpot Export''';
