-- How many rows has a block in batches put aside since it began the last time, and which constraints do they break?
SELECT count(*) AS rows,
       coalesce(string_agg(DISTINCT nullif(concat_ws(' of ', nullif(constraint_name, ''), nullif(table_name, '')), ''), ', '), '') AS constraints
  FROM pgrunbook.skipped_rows
 WHERE backfill = (SELECT id
                     FROM pgrunbook.backfills
                    WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
                    ORDER BY id DESC
                    LIMIT 1)
