-- Is a block in batches in a pause, of which run, since when, and why? No row if its last pause has ended.
SELECT run_id::text AS run, began_at AS since, reasons
  FROM (SELECT * FROM pgrunbook.pauses WHERE backfill = %(backfill)s ORDER BY id DESC LIMIT 1) AS last
 WHERE ended_at IS NULL
