-- Which blocks of later runbooks are in place, or in part, and on which tables of these? As nothing is recorded of one that
-- has only begun: with what SQL did it begin?
SELECT runbook, block,
       coalesce(array_agg(DISTINCT fact ->> 1) FILTER (WHERE fact ->> 1 = ANY (%(tables)s)), '{}') AS tables,
       coalesce(string_agg(sql, E'\n;\n') FILTER (WHERE event = 'started'), '') AS begun
  FROM pgrunbook.blocks
  LEFT JOIN LATERAL jsonb_array_elements(facts) AS fact ON true
 WHERE runbook > %(runbook)s
   AND schema_name = %(schema)s
 GROUP BY runbook, block
HAVING (array_agg(event ORDER BY revision DESC))[1] <> 'reverted'
 ORDER BY runbook, block
