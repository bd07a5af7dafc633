-- As which backfill has a block in batches begun the last time?
SELECT id
  FROM pgrunbook.backfills
 WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
 ORDER BY id DESC
 LIMIT 1
