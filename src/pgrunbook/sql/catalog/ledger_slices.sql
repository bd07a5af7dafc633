-- How has a block in batches gone on over time, since it began the last time? Its batches in so many slices, each run's apart;
-- in fewer if they are few: what it rests between two belongs to its rate.
WITH latest AS (
    SELECT id
      FROM pgrunbook.backfills
     WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
     ORDER BY id DESC
     LIMIT 1
), cut AS (
    SELECT greatest(1, least(%(slices)s, count(*) / 4))::integer AS slices
      FROM pgrunbook.batches b
      JOIN latest ON latest.id = b.backfill
), numbered AS (
    SELECT b.*, ntile(cut.slices) OVER (ORDER BY number) AS slice
      FROM pgrunbook.batches b
     CROSS JOIN cut
      JOIN latest ON latest.id = b.backfill
)
SELECT min(started_at) AS at,
       round(extract(epoch FROM max(finished_at) - min(started_at)), 3)::float8 AS seconds,
       sum(rows)::bigint AS rows, max(lag_s) AS lag_s
  FROM numbered
 GROUP BY run_id, slice
 ORDER BY min(number)
