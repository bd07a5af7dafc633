-- Which tables has the ledger seen rewritten, in what time, and how large are they now? The last ones first.
-- printed for the schema
SELECT l.relation,
       left(l.run_id::text, 8) AS run,
       s.elapsed_ms,
       pg_total_relation_size(to_regclass(l.relation)) AS bytes
  FROM (SELECT * FROM pgrunbook.locks WHERE rewritten ORDER BY id DESC LIMIT 20) AS l
  JOIN pgrunbook.statements s ON s.run_id = l.run_id AND s.block = l.block AND s.number = l.number AND s.event = 'finished'
 WHERE to_regclass(l.relation) IS NOT NULL
   AND s.elapsed_ms > 0
 ORDER BY l.id DESC
