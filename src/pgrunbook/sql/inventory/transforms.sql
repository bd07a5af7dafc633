-- Which transforms are there?
-- of pg_transform: t.oid
SELECT t.oid, 0, NULL, o.type, o.identity,
       nullif(t.trffromsql, 0)::regprocedure::text AS "from sql",
       nullif(t.trftosql, 0)::regprocedure::text AS "to sql"
  FROM pg_transform t
 CROSS JOIN LATERAL pg_identify_object('pg_transform'::regclass, t.oid, 0) AS o
 WHERE {wanted}
