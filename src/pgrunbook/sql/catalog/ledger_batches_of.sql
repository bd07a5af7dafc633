-- Which batches have these runs committed, by block, and when did the last one end? Of a block that they have begun, also none.
SELECT run_id::text AS run_id, block, count(number) AS batches, coalesce(sum(rows), 0)::bigint AS rows, max(at) AS last_at
  FROM (SELECT b.run_id, f.id, f.block, b.number, b.rows, b.finished_at AS at
          FROM pgrunbook.batches b
          JOIN pgrunbook.backfills f ON f.id = b.backfill
         UNION ALL
        SELECT f.run_id, f.id, f.block, NULL, NULL, f.started_at FROM pgrunbook.backfills f) AS done
 WHERE run_id = ANY (%(runs)s::uuid[])
 GROUP BY run_id, id, block
 ORDER BY id
