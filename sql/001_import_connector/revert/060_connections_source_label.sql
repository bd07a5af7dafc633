-- title: Drop source_label from the connections
-- why: Takes with it what the column holds, for every source.
-- usage: psql -1 -v connections_table=connections -f 060_connections_source_label.sql

ALTER TABLE :"connections_table" DROP COLUMN source_label;
