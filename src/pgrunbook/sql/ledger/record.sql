-- A block's row in the ledger, with those of its statements and its locks. What the run's row says is taken from there.
WITH given AS (
    SELECT * FROM jsonb_to_record(%(about)s::jsonb || %(done)s::jsonb) AS g (
        run_id uuid, block text, revision integer, event text, reason text, sql text, source_sha256 text,
        tree_sha256 text, sql_sha256 text, variants text[], facts jsonb, started_at timestamptz, variables jsonb,
        kept jsonb, effect jsonb, rows_written jsonb, statements jsonb, locks jsonb)
), finished AS (
    INSERT INTO pgrunbook.statements (run_id, block, number, event, sql, elapsed_ms)
    SELECT run_id, block, number, 'finished', statement ->> 0, (statement ->> 1)::float8
      FROM given, jsonb_array_elements(statements) WITH ORDINALITY AS s (statement, number)
), held AS (
    INSERT INTO pgrunbook.locks (run_id, block, number, relation, mode, held_ms, rewritten)
    SELECT run_id, block, l.*
      FROM given, jsonb_to_recordset(locks) AS l (number integer, relation text, mode text, held_ms float8, rewritten boolean)
)
INSERT INTO pgrunbook.blocks (run_id, runbook, schema_name, block, revision, event, reason, sql, source_sha256,
                              tree_sha256, sql_sha256, variants, facts, started_at, variables, kept, effect, rows_written)
SELECT run_id, runbook, schema_name, block, revision, event, reason, sql, source_sha256,
       tree_sha256, sql_sha256, variants, facts, g.started_at, variables, kept, effect, rows_written
  FROM given g
  LEFT JOIN pgrunbook.runs USING (run_id) -- without it, nothing may be committed: the run's row gives columns that are NOT NULL
