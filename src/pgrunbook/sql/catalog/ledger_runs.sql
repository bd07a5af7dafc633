-- Which runs of a runbook in a schema have written, the latest first, and how did they end?
SELECT r.run_id::text AS run_id, r.mode, r.operator, r.ticket,
       r.started_at, v.verdict, v.reason, v.ended_at
  FROM pgrunbook.runs r
  LEFT JOIN LATERAL (SELECT * FROM pgrunbook.verdicts v WHERE v.run_id = r.run_id ORDER BY id DESC LIMIT 1) v ON true
 WHERE r.runbook = %(runbook)s
   AND r.schema_name = %(schema)s
 ORDER BY r.started_at DESC
