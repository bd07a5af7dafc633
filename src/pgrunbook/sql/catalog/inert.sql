-- What of the database can a superuser make and have nobody's code called? `privileged`: it takes one.
-- An expression may be run as soon as it is read: '{1}' as an array of a domain meets that domain's CHECK.
WITH functions AS (
    SELECT p.oid, l.lanname, p.proleakproof, p.prosupport, p.proconfig, a.aggtranstype, a.aggmtranstype
      FROM pg_proc p
      JOIN pg_language l ON l.oid = p.prolang
      LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
     WHERE p.pronargdefaults = 0 AND p.prosqlbody IS NULL
       AND a.agginitval IS NULL AND a.aggminitval IS NULL
       AND (l.lanname IN ('internal', 'sql', 'plpgsql')
            -- a library of the server's own: another's path is a file of another machine
            OR l.lanname = 'c' AND p.probin::text ~ '^(\$libdir/)?[^/]+$')
), inert (class, oid, privileged) AS (
    SELECT 'pg_proc'::regclass, f.oid,
           (f.lanname IN ('internal', 'c') AND f.aggtranstype IS NULL) OR f.proleakproof OR f.prosupport <> 0
           OR 'internal'::regtype IN (f.aggtranstype, f.aggmtranstype)
           OR EXISTS (SELECT FROM unnest(f.proconfig) AS c (given)
                        JOIN pg_settings s ON lower(s.name) = lower(split_part(c.given, '=', 1))
                       WHERE s.context = 'superuser')
      FROM functions f
    UNION ALL SELECT 'pg_type'::regclass, oid, typtype = 'b' FROM pg_type WHERE typtype IN ('b', 'e', 'r') AND typelem = 0
    UNION ALL SELECT 'pg_operator'::regclass, oid, false FROM pg_operator
    UNION ALL SELECT 'pg_cast'::regclass, oid, true FROM pg_cast
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, true FROM pg_opfamily
    UNION ALL SELECT 'pg_opclass'::regclass, oid, true FROM pg_opclass
    UNION ALL SELECT 'pg_am'::regclass, oid, true FROM pg_am
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, true FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, true FROM pg_ts_template
    UNION ALL SELECT 'pg_transform'::regclass, oid, true FROM pg_transform
    UNION ALL SELECT 'pg_language'::regclass, oid, true FROM pg_language WHERE lanpltrusted
    -- its validator is called when it is made
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, true
      FROM pg_foreign_data_wrapper w
      LEFT JOIN pg_proc v ON v.oid = w.fdwvalidator
      LEFT JOIN pg_language l ON l.oid = v.prolang
     WHERE coalesce(l.lanname, 'c') IN ('internal', 'c')
)
SELECT class::oid AS class, oid, privileged
  FROM inert
 WHERE oid >= 16384  -- FirstNormalObjectId: not what every database has
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = inert.class AND d.objid = inert.oid AND d.deptype = 'e')
