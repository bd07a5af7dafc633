-- Which runs have worked on a backfill, and what has each of them done?
SELECT b.run_id::text AS run,
       to_char(min(started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS began,
       to_char(max(finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS ended,
       count(*) AS batches, sum(rows)::bigint AS rows,
       (SELECT count(*) FROM pgrunbook.skipped_rows s WHERE s.backfill = %(backfill)s AND s.run_id = b.run_id) AS skipped,
       round(sum(elapsed_ms)::numeric, 1)::float8 AS ms, round(max(elapsed_ms)::numeric, 1)::float8 AS longest_ms,
       sum(wal_bytes)::bigint AS wal_bytes, sum(attempts - 1)::bigint AS tried_again
  FROM pgrunbook.batches b
 WHERE backfill = %(backfill)s
 GROUP BY b.run_id
 ORDER BY min(number)
