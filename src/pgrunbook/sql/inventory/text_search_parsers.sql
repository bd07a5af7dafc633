-- Which text search parsers are there?
-- of pg_ts_parser: p.oid; in p.prsnamespace
SELECT p.oid, 0, NULL, o.type, o.identity,
       p.prsstart::regprocedure::text AS start,
       p.prstoken::regprocedure::text AS gettoken,
       p.prsend::regprocedure::text AS "end",
       nullif(p.prsheadline, 0)::regprocedure::text AS headline,
       p.prslextype::regprocedure::text AS lextypes
  FROM pg_ts_parser p
 CROSS JOIN LATERAL pg_identify_object('pg_ts_parser'::regclass, p.oid, 0) AS o
 WHERE {wanted}
