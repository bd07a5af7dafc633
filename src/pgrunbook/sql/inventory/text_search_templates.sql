-- Which text search templates are there?
-- of pg_ts_template: t.oid; in t.tmplnamespace
SELECT t.oid, 0, NULL, o.type, o.identity,
       nullif(t.tmplinit, 0)::regprocedure::text AS init,
       t.tmpllexize::regprocedure::text AS lexize
  FROM pg_ts_template t
 CROSS JOIN LATERAL pg_identify_object('pg_ts_template'::regclass, t.oid, 0) AS o
 WHERE {wanted}
