-- How long did each block of a runbook take, and which locks did it hold on what existed before?
SELECT b.run_id::text AS run_id, b.block,
       extract(epoch FROM b.finished_at - b.started_at)::float8 * 1000 AS elapsed_ms,
       coalesce((SELECT jsonb_agg(jsonb_build_object('relation', relation, 'mode', mode, 'held_ms', held_ms, 'rewritten', rewritten)
                                  ORDER BY l.id)
                   FROM pgrunbook.locks l
                  WHERE l.run_id = b.run_id AND l.block = b.block
                    AND l.mode NOT IN ('ACCESS SHARE', 'ROW SHARE')), '[]') AS locks,
       (SELECT count(*) FROM pgrunbook.attempts a WHERE a.run_id = b.run_id AND a.block = b.block AND NOT a.got_locks) AS attempts
  FROM pgrunbook.blocks b
 WHERE b.runbook = %(runbook)s
   AND b.schema_name = %(schema)s
   AND b.event NOT IN ('started', 'reverting')
