-- Which extensions are there?
-- of pg_extension: e.oid
SELECT e.oid, 0, NULL, 'extension', quote_ident(e.extname),
       e.extversion AS version,
       e.extnamespace::regnamespace::text AS schema
  FROM pg_extension e
 WHERE {wanted}
