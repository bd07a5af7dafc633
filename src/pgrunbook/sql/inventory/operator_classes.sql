-- Which operator classes are there, with which operators and functions?
-- of pg_opclass: c.oid; in c.opcnamespace
SELECT c.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(c.opcowner)::text AS owner,
       (pg_identify_object('pg_opfamily'::regclass, c.opcfamily, 0)).identity AS family,
       format_type(c.opcintype, NULL) AS "for type",
       c.opcdefault AS "default",
       CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END AS storage,
       ARRAY(SELECT concat_ws(' ', 'operator', a.amopstrategy, a.amopopr::regoperator,
                              CASE WHEN a.amopsortfamily <> 0 THEN 'for order by '
                                   || (pg_identify_object('pg_opfamily'::regclass, a.amopsortfamily, 0)).identity END)
               FROM pg_depend d JOIN pg_amop a ON a.oid = d.objid
              WHERE d.refclassid = 'pg_opclass'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_amop'::regclass
              ORDER BY a.amopstrategy, 1)
         || ARRAY(SELECT format('function %s (%s, %s) %s', a.amprocnum, format_type(a.amproclefttype, NULL),
                                format_type(a.amprocrighttype, NULL), a.amproc::regprocedure)
                    FROM pg_depend d JOIN pg_amproc a ON a.oid = d.objid
                   WHERE d.refclassid = 'pg_opclass'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_amproc'::regclass
                   ORDER BY a.amprocnum, 1) AS members
  FROM pg_opclass c
 CROSS JOIN LATERAL pg_identify_object('pg_opclass'::regclass, c.oid, 0) AS o
 WHERE {wanted}
