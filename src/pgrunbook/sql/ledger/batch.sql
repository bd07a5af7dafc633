-- A batch's row in the ledger, with the row that it puts aside, if it does.
WITH given AS (
    SELECT * FROM jsonb_to_record(%(batch)s::jsonb) AS g (
        backfill bigint, number integer, run_id uuid, from_key text[], to_key text[], keys bigint, rows bigint, rows_written jsonb,
        started_at timestamptz, elapsed_ms float8, lsn pg_lsn, lag_s float8, attempts integer, waited_for jsonb,
        sqlstate text, table_name text, constraint_name text)
), skipped AS (
    INSERT INTO pgrunbook.skipped_rows (backfill, number, run_id, key, sqlstate, table_name, constraint_name)
    SELECT backfill, number, run_id, to_key, sqlstate, table_name, constraint_name
      FROM given
     WHERE sqlstate IS NOT NULL
)
INSERT INTO pgrunbook.batches (backfill, number, run_id, from_key, to_key, keys, rows, rows_written, started_at, elapsed_ms,
                               wal_bytes, lag_s, attempts, waited_for)
SELECT backfill, number, run_id, from_key, to_key, keys, rows, rows_written, started_at, elapsed_ms,
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), lsn), lag_s, attempts, waited_for
  FROM given
