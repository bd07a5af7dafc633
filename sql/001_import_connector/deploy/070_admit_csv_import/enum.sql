-- title: Add the value to the enum
-- why: The column's type lists its values. The new label goes last; it can be used once this is committed. Locks
--   the type alone; no row is read.
-- usage: psql -1 -v type=source_kind -v value=csv_import -f enum.sql
-- No label is named to stand before or after: sources have no order.
-- squawk-ignore-file require-enum-value-ordering

ALTER TYPE :type ADD VALUE IF NOT EXISTS :'value';
