-- title: Add config to the connections where it is missing
-- why: Every source keeps its settings in one place; a file import needs no credentials, so it has none.
-- usage: psql -1 -v connections_table=connections -f 061_connections_config.sql

ALTER TABLE :"connections_table" ADD COLUMN IF NOT EXISTS config JSONB;

COMMENT ON COLUMN :"connections_table".config IS
  'Settings of the source; {} for file imports, which need no credentials';
