-- How has a block in batches gone on over time, since it began the last time? Its batches in so many slices, each run's apart.
WITH latest AS (
    SELECT id
      FROM pgrunbook.backfills
     WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
     ORDER BY id DESC
     LIMIT 1
), numbered AS (
    SELECT b.*, ntile(%(slices)s) OVER (ORDER BY number) AS slice
      FROM pgrunbook.batches b
      JOIN latest ON latest.id = b.backfill
), sliced AS (
    SELECT run_id, slice, min(started_at) AS began, max(finished_at) AS ended, count(*) AS batches,
           sum(rows)::bigint AS rows, sum(elapsed_ms) AS ms, max(elapsed_ms) AS longest_ms,
           sum(wal_bytes)::bigint AS wal_bytes, sum(attempts - 1) AS tried_again
      FROM numbered
     GROUP BY run_id, slice
)
SELECT to_char(began AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS began,
       round(extract(epoch FROM ended - began)::numeric, 1)::float8 AS seconds,
       batches, rows, round(ms::numeric, 1)::float8 AS ms, round(longest_ms::numeric, 1)::float8 AS longest_ms,
       wal_bytes, tried_again,
       (SELECT coalesce(round(sum(extract(epoch FROM p.ended_at - p.began_at)), 1), 0)::float8
          FROM pgrunbook.pauses p, latest
         WHERE p.backfill = latest.id AND p.run_id = s.run_id
           AND p.began_at >= s.began AND p.began_at < s.ended) AS paused_s,
       left(run_id::text, 8) AS run
  FROM sliced s
 ORDER BY s.began
