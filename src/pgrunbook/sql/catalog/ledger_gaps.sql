-- Of the last time that a block in batches began: which batches do not begin where the one before has ended? The last one must end at the upper bound.
WITH latest AS (
    SELECT id, upper_bound
      FROM pgrunbook.backfills
     WHERE runbook = %(runbook)s AND schema_name = %(schema)s AND block = %(block)s
     ORDER BY id DESC
     LIMIT 1
), ordered AS (
    SELECT number, from_key, to_key, upper_bound,
           lag(to_key) OVER (ORDER BY number) AS before, lead(number) OVER (ORDER BY number) IS NULL AS last
      FROM pgrunbook.batches
      JOIN latest ON latest.id = backfill
)
SELECT number, from_key, to_key
  FROM ordered
 WHERE from_key IS DISTINCT FROM before
    OR last AND to_key IS DISTINCT FROM upper_bound
 UNION ALL
SELECT 0, NULL, upper_bound
  FROM latest
 WHERE upper_bound IS NOT NULL AND NOT EXISTS (SELECT FROM ordered)
 ORDER BY number
