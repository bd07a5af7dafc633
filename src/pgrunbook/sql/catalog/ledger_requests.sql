-- What was asked of a run while it was at work? The last one first; of what whoever may ask has written, no more than a line.
SELECT what, left(operator, 100) AS operator, left(host, 100) AS host, database_user, left(reason, 500) AS reason, asked_at
  FROM pgrunbook.requests
 WHERE run_id = %(run_id)s
 ORDER BY id DESC
 LIMIT 1
