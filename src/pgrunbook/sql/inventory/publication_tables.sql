-- Which tables do publications name, with which columns and rows?
-- of pg_publication_rel: r.oid
SELECT r.oid, 0, r.prpubid, 'publication relation',
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' in publication ' || quote_ident(p.pubname),
       CASE WHEN r.prattrs IS NOT NULL THEN
            ARRAY(SELECT a.attname::text FROM pg_attribute a
                   WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs) ORDER BY a.attnum) END AS columns,
       pg_get_expr(r.prqual, r.prrelid) AS "where"
  FROM pg_publication_rel r
  JOIN pg_publication p ON p.oid = r.prpubid
  JOIN pg_class c ON c.oid = r.prrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {wanted}
