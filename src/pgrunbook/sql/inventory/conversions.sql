-- Which conversions between encodings are there?
-- of pg_conversion: c.oid; in c.connamespace
SELECT c.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(c.conowner)::text AS owner,
       pg_encoding_to_char(c.conforencoding)::text AS "from",
       pg_encoding_to_char(c.contoencoding)::text AS "to",
       c.conproc::regprocedure::text AS function,
       c.condefault AS "default"
  FROM pg_conversion c
 CROSS JOIN LATERAL pg_identify_object('pg_conversion'::regclass, c.oid, 0) AS o
 WHERE {wanted}
