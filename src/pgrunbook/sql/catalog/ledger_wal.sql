-- How many bytes of WAL has each row taken that the last backfill of a table has changed? What others wrote meanwhile is in it.
SELECT (sum(wal_bytes) / nullif(sum(rows), 0))::float8 AS bytes
  FROM pgrunbook.batches
 WHERE backfill = (SELECT max(b.backfill)
                     FROM pgrunbook.batches b
                     JOIN pgrunbook.backfills f ON f.id = b.backfill
                    WHERE f.table_name = %(table)s AND b.rows > 0)
