-- When has a block in batches paused since it began the last time, and why?
SELECT began_at AS at, round(extract(epoch FROM ended_at - began_at), 3)::float8 AS seconds, lag_s, reasons
  FROM pgrunbook.pauses
 WHERE ended_at IS NOT NULL
   AND backfill = (SELECT id
                     FROM pgrunbook.backfills
                    WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
                    ORDER BY id DESC
                    LIMIT 1)
 ORDER BY began_at
