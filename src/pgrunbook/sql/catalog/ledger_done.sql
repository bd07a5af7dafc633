-- When did which run do what with each block of a runbook in a schema, whatever became of it since?
SELECT block, event, run_id::text AS run_id, finished_at AT TIME ZONE 'UTC' AS finished_at
  FROM pgrunbook.blocks
 WHERE runbook OPERATOR(pg_catalog.=) %(runbook)s
   AND schema_name OPERATOR(pg_catalog.=) %(schema)s
