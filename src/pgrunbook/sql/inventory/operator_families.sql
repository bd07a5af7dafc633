-- Which operator families are there, with which operators and functions that no class has brought?
-- of pg_opfamily: f.oid; in f.opfnamespace
SELECT f.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(f.opfowner)::text AS owner,
       ARRAY(SELECT concat_ws(' ', 'operator', a.amopstrategy, a.amopopr::regoperator,
                              CASE WHEN a.amopsortfamily <> 0 THEN 'for order by '
                                   || (pg_identify_object('pg_opfamily'::regclass, a.amopsortfamily, 0)).identity END)
               FROM pg_depend d JOIN pg_amop a ON a.oid = d.objid
              WHERE d.refclassid = 'pg_opfamily'::regclass AND d.refobjid = f.oid AND d.classid = 'pg_amop'::regclass
              ORDER BY a.amopstrategy, 1)
         || ARRAY(SELECT format('function %s (%s, %s) %s', a.amprocnum, format_type(a.amproclefttype, NULL),
                                format_type(a.amprocrighttype, NULL), a.amproc::regprocedure)
                    FROM pg_depend d JOIN pg_amproc a ON a.oid = d.objid
                   WHERE d.refclassid = 'pg_opfamily'::regclass AND d.refobjid = f.oid AND d.classid = 'pg_amproc'::regclass
                   ORDER BY a.amprocnum, 1) AS members
  FROM pg_opfamily f
 CROSS JOIN LATERAL pg_identify_object('pg_opfamily'::regclass, f.oid, 0) AS o
 WHERE {wanted}
