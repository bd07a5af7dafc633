-- Which blocks of later runbooks are in place, and on which tables of these are they?
SELECT runbook, block, tables
  FROM (SELECT DISTINCT ON (runbook, block) runbook, block, event,
               ARRAY(SELECT DISTINCT fact ->> 1 FROM jsonb_array_elements(facts) AS fact
                      WHERE fact ->> 1 = ANY (%(tables)s) ORDER BY 1) AS tables
          FROM pgrunbook.blocks
         WHERE runbook > %(runbook)s
           AND schema_name = %(schema)s
         ORDER BY runbook, block, revision DESC) AS latest
 WHERE event IN ('started', 'applied', 'adopted')
   AND tables <> '{}'
 ORDER BY runbook, block
