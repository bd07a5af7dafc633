-- Which operators are there?
-- of pg_operator: p.oid; in p.oprnamespace
SELECT p.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(p.oprowner)::text AS owner,
       format_type(p.oprresult, NULL) AS returns,
       nullif(p.oprcode, 0)::regprocedure::text AS function,
       nullif(p.oprcom, 0)::regoperator::text AS commutator,
       nullif(p.oprnegate, 0)::regoperator::text AS negator,
       nullif(p.oprrest, 0)::regprocedure::text AS "restrict",
       nullif(p.oprjoin, 0)::regprocedure::text AS "join",
       p.oprcanhash AS hashes,
       p.oprcanmerge AS merges
  FROM pg_operator p
 CROSS JOIN LATERAL pg_identify_object('pg_operator'::regclass, p.oid, 0) AS o
 WHERE {wanted}
