-- title: Drop config from the connections
-- why: Takes with it what the column holds, for every source.
-- usage: psql -1 -v connections_table=connections -f 061_connections_config.sql

ALTER TABLE :"connections_table" DROP COLUMN config;
