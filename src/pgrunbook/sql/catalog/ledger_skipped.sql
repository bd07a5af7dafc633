-- How many rows has a backfill put aside, and which constraints do they break?
SELECT count(*) AS rows,
       coalesce(string_agg(DISTINCT nullif(concat_ws(' of ', nullif(constraint_name, ''), nullif(table_name, '')), ''), ', '), '') AS constraints
  FROM pgrunbook.skipped_rows
 WHERE backfill = %(backfill)s
