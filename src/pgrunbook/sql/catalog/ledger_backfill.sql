-- How far has a block in batches come since it began with this revision? Its last batch, the sums of all, and the runs.
SELECT f.id, f.tree_sha256, f.table_name AS "table", f.table_oid::bigint AS oid, f.key_columns AS key, f.upper_bound AS upper,
       f.started_at,
       coalesce(s.batches, 0)::integer AS batches, coalesce(s.keys, 0)::bigint AS keys, coalesce(s.rows, 0)::bigint AS rows, s.runs,
       (SELECT to_key FROM pgrunbook.batches b WHERE b.backfill = f.id ORDER BY number DESC LIMIT 1) AS at,
       (SELECT count(*) FROM pgrunbook.skipped_rows k WHERE k.backfill = f.id) AS skipped,
       (SELECT coalesce(jsonb_agg(to_jsonb(w)), '[]')
          FROM (SELECT relation, sum(inserted) AS inserted, sum(updated) AS updated, sum(deleted) AS deleted,
                       coalesce(sum(truncated), 0) AS truncated
                  FROM pgrunbook.batches b
                 CROSS JOIN LATERAL jsonb_to_recordset(b.rows_written) AS r (relation text, inserted bigint, updated bigint, deleted bigint,
                                                                             truncated bigint)
                 WHERE b.backfill = f.id
                 GROUP BY relation
                 ORDER BY relation) AS w) AS written
  FROM pgrunbook.backfills f
  LEFT JOIN LATERAL (
           SELECT count(*) AS batches, sum(keys) AS keys, sum(rows) AS rows, array_agg(DISTINCT run_id::text) AS runs
             FROM pgrunbook.batches b
            WHERE b.backfill = f.id) AS s ON true
 WHERE f.runbook = %(runbook)s
   AND f.schema_name = %(schema)s
   AND f.block = %(block)s
   AND f.revision = %(revision)s
