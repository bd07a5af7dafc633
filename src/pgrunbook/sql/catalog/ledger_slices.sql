-- How has a backfill gone on over time? Its batches in so many slices, each run's apart;
-- in fewer if they are few: what it rests between two belongs to its rate.
WITH cut AS (
    SELECT greatest(1, least(%(slices)s, count(*) / 4))::integer AS slices
      FROM pgrunbook.batches
     WHERE backfill = %(backfill)s
), numbered AS (
    SELECT b.*, ntile(cut.slices) OVER (ORDER BY number) AS slice
      FROM pgrunbook.batches b
     CROSS JOIN cut
     WHERE b.backfill = %(backfill)s
)
SELECT min(started_at) AS at,
       round(extract(epoch FROM max(finished_at) - min(started_at)), 3)::float8 AS seconds,
       sum(rows)::bigint AS rows, max(lag_s) AS lag_s
  FROM numbered
 GROUP BY run_id, slice
 ORDER BY min(number)
