-- Which casts are there? A range type's to its multirange type is part of it.
-- of pg_cast: c.oid
SELECT c.oid, 0, NULL, o.type, o.identity,
       CASE c.castmethod WHEN 'f' THEN c.castfunc::regprocedure::text WHEN 'i' THEN 'in and out' ELSE 'binary' END AS method,
       CASE c.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END AS context
  FROM pg_cast c
 CROSS JOIN LATERAL pg_identify_object('pg_cast'::regclass, c.oid, 0) AS o
 WHERE c.oid >= 16384 AND {wanted}
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'i')
