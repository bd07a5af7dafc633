-- title: Drop last_sync_at from the connections
-- why: Takes with it what the column holds, for every source.
-- usage: psql -1 -v connections_table=connections -f 062_connections_last_sync_at.sql

ALTER TABLE :"connections_table" DROP COLUMN last_sync_at;
