-- Which access methods are there?
-- of pg_am: m.oid
SELECT m.oid, 0, NULL, 'access method', quote_ident(m.amname),
       CASE m.amtype WHEN 't' THEN 'table' ELSE 'index' END AS kind,
       m.amhandler::regprocedure::text AS handler
  FROM pg_am m
 WHERE m.oid >= 16384 AND {wanted}
