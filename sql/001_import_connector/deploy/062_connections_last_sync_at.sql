-- title: Add last_sync_at to the connections where it is missing
-- why: For a file import the time of the last upload, shown where other sources show their last sync.
-- usage: psql -1 -v connections_table=connections -f 062_connections_last_sync_at.sql

ALTER TABLE :"connections_table" ADD COLUMN IF NOT EXISTS last_sync_at TIMESTAMPTZ;

COMMENT ON COLUMN :"connections_table".last_sync_at IS
  'When data last arrived: the last sync, or the last upload of a file';
