-- Which schemas do publications name?
-- of pg_publication_namespace: r.oid
SELECT r.oid, 0, r.pnpubid, 'publication namespace', quote_ident(n.nspname) || ' in publication ' || quote_ident(p.pubname)
  FROM pg_publication_namespace r
  JOIN pg_publication p ON p.oid = r.pnpubid
  JOIN pg_namespace n ON n.oid = r.pnnspid
 WHERE {wanted}
