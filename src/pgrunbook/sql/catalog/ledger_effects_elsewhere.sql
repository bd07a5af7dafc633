-- What have runs in other schemas changed in a schema, or of these objects and what is part of them? Looked at are the rows of
-- the schemas that these are in, and those that the index of version 8 of the ledger is about.
SELECT b.id, b.runbook, b.block, b.schema_name AS elsewhere, b.event, b.run_id::text AS run_id,
       b.finished_at AT TIME ZONE 'UTC' AS finished_at,
       changed.effect, '[]'::jsonb AS made,
       split_part(r.server_version, '.', 1)::integer AS server_version
  FROM (SELECT * FROM pgrunbook.blocks WHERE schema_name = ANY (%(schemas)s::text[])
        UNION ALL
        SELECT * FROM pgrunbook.blocks
         WHERE jsonb_path_exists(effect, 'strict $[*] ? (!exists (@[1, 4] ? (@ starts with $in || @ == $is)))',
                                 jsonb_object(ARRAY['is', quote_ident(schema_name), 'in', quote_ident(schema_name) || '.']))
           AND schema_name <> ALL (%(schemas)s::text[])
       ) AS b
  JOIN pgrunbook.runs r USING (run_id)
 CROSS JOIN LATERAL (
       SELECT coalesce(jsonb_agg(change), '[]') AS effect
         FROM jsonb_array_elements(b.effect) AS e (change)
        WHERE change ->> 1 = ANY (%(identities)s::text[])
           OR change ->> 4 = ANY (%(identities)s::text[])
           OR starts_with(change ->> 1, quote_ident(%(schema)s) || '.')
           OR starts_with(change ->> 4, quote_ident(%(schema)s) || '.')) AS changed
 WHERE b.schema_name <> %(schema)s
   AND b.event NOT IN ('started', 'reverting')
   AND (b.event = 'reverted' OR changed.effect <> '[]')
 ORDER BY b.id
