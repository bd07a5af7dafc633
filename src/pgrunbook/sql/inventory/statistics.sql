-- Which statistics objects are there?
-- of pg_statistic_ext: s.oid; in s.stxnamespace
SELECT s.oid, 0, NULL, 'statistics object',
       quote_ident(n.nspname) || '.' || quote_ident(s.stxname),
       pg_get_userbyid(s.stxowner)::text AS owner,
       pg_get_statisticsobjdef(s.oid) AS definition,
       nullif(s.stxstattarget, -1) AS statistics -- from version 17 on NULL
  FROM pg_statistic_ext s
  JOIN pg_namespace n ON n.oid = s.stxnamespace
 WHERE {wanted}
