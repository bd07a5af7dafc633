-- What have the blocks of runs in a schema changed, in the order of their commits, and with which major version of the server? A row
-- of before version 6 does not say; it has the names of what it made.
SELECT b.id, b.runbook, b.block, '' AS elsewhere, b.event, b.run_id::text AS run_id,
       b.finished_at AT TIME ZONE 'UTC' AS finished_at,
       nullif(to_jsonb(b) -> 'effect', 'null') AS effect,
       (SELECT coalesce(jsonb_agg(CASE fact ->> 0
                  WHEN 'table' THEN jsonb_build_array('table', format('%%I.%%I', b.schema_name, fact ->> 1), NULL)
                  WHEN 'column' THEN jsonb_build_array('table column', format('%%I.%%I.%%I', b.schema_name, fact ->> 1, fact ->> 2), format('%%I.%%I', b.schema_name, fact ->> 1))
                  WHEN 'constraint' THEN jsonb_build_array('table constraint', format('%%I on %%I.%%I', fact ->> 2, b.schema_name, fact ->> 1), format('%%I.%%I', b.schema_name, fact ->> 1))
                  WHEN 'index' THEN jsonb_build_array('index', format('%%I.%%I', b.schema_name, fact ->> 2), format('%%I.%%I', b.schema_name, fact ->> 1))
                  END), '[]')
          FROM jsonb_array_elements(b.facts) AS f (fact)
         WHERE fact ->> 0 IN ('table', 'column', 'constraint', 'index')) AS made,
       split_part(r.server_version, '.', 1)::integer AS server_version
  FROM pgrunbook.blocks b
  JOIN pgrunbook.runs r USING (run_id)
 WHERE b.schema_name = %(schema)s
   AND b.event NOT IN ('started', 'reverting')
 ORDER BY b.id
