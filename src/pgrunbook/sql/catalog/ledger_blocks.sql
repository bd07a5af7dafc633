-- What happened to the blocks of a runbook in a schema, oldest first?
SELECT b.block, b.event, to_char(b.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS finished_at,
       left(b.run_id::text, 8) AS run, r.operator, r.ticket
  FROM pgrunbook.blocks b
  JOIN pgrunbook.runs r USING (run_id)
 WHERE b.runbook = %(runbook)s
   AND b.schema_name = %(schema)s
 ORDER BY b.id
