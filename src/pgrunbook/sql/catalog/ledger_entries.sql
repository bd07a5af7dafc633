-- What did the ledger last say about each block of a runbook in a schema, or about these?
SELECT DISTINCT ON (block)
       block, event, run_id::text AS run_id, revision, sql, source_sha256, tree_sha256, variants, facts,
       to_jsonb(b) -> 'variables' AS variables, to_jsonb(b) -> 'kept' AS kept, -- NULL before version 4
       finished_at AT TIME ZONE 'UTC' AS finished_at
  FROM pgrunbook.blocks b
 WHERE runbook = %(runbook)s
   AND schema_name = %(schema)s
   AND block = ANY (coalesce(%(blocks)s::text[],
                             ARRAY(SELECT block FROM pgrunbook.blocks
                                    WHERE runbook = %(runbook)s AND schema_name = %(schema)s)))
 ORDER BY block, revision DESC
