-- Which runs in a schema have written and not ended, and what is the last thing known of each?
SELECT r.run_id::text AS run_id, r.runbook, r.schema_name, r.operator, r.started_at,
       (SELECT coalesce(string_agg(block, ', ' ORDER BY id), 'nothing') FROM pgrunbook.blocks b
         WHERE b.run_id = r.run_id AND b.event NOT IN ('started', 'reverting')) AS committed,
       coalesce(last.what, 'it began') AS last,
       coalesce(last.at, r.started_at) AS last_at
  FROM pgrunbook.runs r
  LEFT JOIN LATERAL (
           SELECT block || ' ' || event AS what, finished_at AS at FROM pgrunbook.blocks b WHERE b.run_id = r.run_id
           UNION ALL
           SELECT format('statement %%s of %%s %%s', number, block, event), at FROM pgrunbook.statements s WHERE s.run_id = r.run_id
           UNION ALL
           SELECT format('attempt %%s at %%s %%s', number, block, CASE WHEN got_locks THEN 'got its locks' ELSE 'did not get its locks' END),
                  started_at + waited_ms * interval '1 millisecond' FROM pgrunbook.attempts a WHERE a.run_id = r.run_id
           ORDER BY at DESC LIMIT 1) AS last ON true
 WHERE r.schema_name = %(schema)s
   AND NOT EXISTS (SELECT FROM pgrunbook.verdicts v WHERE v.run_id = r.run_id)
 ORDER BY r.started_at
