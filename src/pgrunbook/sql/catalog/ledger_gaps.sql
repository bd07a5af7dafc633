-- Which batches of a backfill do not begin where the one before has ended? The last one must end at the upper bound.
WITH ordered AS (
    SELECT number, from_key, to_key,
           lag(to_key) OVER (ORDER BY number) AS before, lead(number) OVER (ORDER BY number) IS NULL AS last
      FROM pgrunbook.batches
     WHERE backfill = %(backfill)s
), bound AS (
    SELECT upper_bound
      FROM pgrunbook.backfills
     WHERE id = %(backfill)s
)
SELECT number, from_key, to_key
  FROM ordered, bound
 WHERE from_key IS DISTINCT FROM before
    OR last AND to_key IS DISTINCT FROM upper_bound
 UNION ALL
SELECT 0, NULL, upper_bound
  FROM bound
 WHERE upper_bound IS NOT NULL AND NOT EXISTS (SELECT FROM ordered)
 ORDER BY number
