-- Which blocks of a runbook in a schema has the ledger as done, or as begun, that none of these files and folders is of? A
-- block of variants is called as its folder, a colon, and its column.
SELECT block, event, run_id
  FROM (SELECT DISTINCT ON (block) block, event, run_id::text AS run_id
          FROM pgrunbook.blocks
         WHERE runbook = %(runbook)s AND schema_name = %(schema)s
           AND split_part(block, ':', 1) <> ALL (%(files)s::text[])
         ORDER BY block, revision DESC) AS latest
 WHERE event <> 'reverted'
 ORDER BY block
