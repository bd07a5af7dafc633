-- What was asked of a run while it was at work? The last one first.
SELECT what, operator, host, database_user, reason, asked_at
  FROM pgrunbook.requests
 WHERE run_id = %(run_id)s
 ORDER BY id DESC
