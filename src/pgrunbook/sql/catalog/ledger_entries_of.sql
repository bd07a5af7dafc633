-- What did the ledger last say about these blocks of a runbook in a schema?
SELECT DISTINCT ON (block)
       block, event, run_id::text AS run_id, revision, sql, source_sha256, tree_sha256, variants, facts,
       to_jsonb(b) -> 'variables' AS variables, to_jsonb(b) -> 'kept' AS kept, -- NULL before version 4
       finished_at AT TIME ZONE 'UTC' AS finished_at
  FROM pgrunbook.blocks b
 WHERE runbook = %(runbook)s
   AND schema_name = %(schema)s
   AND block = ANY (%(blocks)s)
 ORDER BY block, revision DESC
