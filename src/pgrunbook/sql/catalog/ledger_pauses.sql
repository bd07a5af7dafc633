-- When has a backfill paused, and why?
SELECT began_at AS at, round(extract(epoch FROM ended_at - began_at), 3)::float8 AS seconds, lag_s, reasons
  FROM pgrunbook.pauses
 WHERE ended_at IS NOT NULL AND backfill = %(backfill)s
 ORDER BY began_at
