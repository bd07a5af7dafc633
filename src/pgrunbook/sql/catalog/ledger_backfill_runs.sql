-- Which runs have worked on a block in batches since it began the last time, and what has each of them done?
WITH latest AS (
    SELECT id
      FROM pgrunbook.backfills
     WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
     ORDER BY id DESC
     LIMIT 1
)
SELECT b.run_id::text AS run,
       to_char(min(started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS began,
       to_char(max(finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS ended,
       count(*) AS batches, sum(rows)::bigint AS rows,
       (SELECT count(*) FROM pgrunbook.skipped_rows s WHERE s.backfill = min(b.backfill) AND s.run_id = b.run_id) AS skipped,
       round(sum(elapsed_ms)::numeric, 1)::float8 AS ms, round(max(elapsed_ms)::numeric, 1)::float8 AS longest_ms,
       sum(wal_bytes)::bigint AS wal_bytes, sum(attempts - 1)::bigint AS tried_again
  FROM pgrunbook.batches b
  JOIN latest ON latest.id = b.backfill
 GROUP BY b.run_id
 ORDER BY min(number)
