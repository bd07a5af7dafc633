-- Which triggers are there? That of a partition is its parent's, unless it is enabled otherwise.
-- of pg_trigger: g.oid; in c.relnamespace
SELECT g.oid, 0, g.tgrelid, 'trigger',
       quote_ident(g.tgname) || ' on ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_get_triggerdef(g.oid) AS definition,
       CASE g.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always'
                        ELSE CASE WHEN g.tgparentid <> 0 THEN 'enabled' END END AS enabled,
       g.tgparentid <> 0 AS "of the parent"
  FROM pg_trigger g
  JOIN pg_class c ON c.oid = g.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_trigger p ON p.oid = g.tgparentid
 WHERE (NOT g.tgisinternal AND g.tgparentid = 0 OR g.tgenabled <> p.tgenabled) AND {wanted}
