-- How many rows a second has the last block in batches changed, pauses included? The time between two runs does not count.
WITH runs AS (
    SELECT sum(rows) AS rows, extract(epoch FROM max(finished_at) - min(started_at)) AS seconds
      FROM pgrunbook.batches
     WHERE backfill = (SELECT max(backfill) FROM pgrunbook.batches WHERE rows > 0)
     GROUP BY run_id
)
SELECT (sum(rows) / nullif(sum(seconds), 0))::float8 AS rate
  FROM runs
