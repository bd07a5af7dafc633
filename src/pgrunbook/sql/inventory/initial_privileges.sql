-- Which objects of PostgreSQL's own and of extensions have other privileges than they came with?
WITH privileges AS (
    SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid, 0 AS objsubid, c.relacl AS acl,
           acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner) AS usual
      FROM pg_class c WHERE c.relacl IS NOT NULL AND {c.oid}
    UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum, a.attacl, '{}'
      FROM pg_attribute a WHERE a.attacl IS NOT NULL AND {a.attrelid}
    UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, p.proacl, acldefault('f', p.proowner)
      FROM pg_proc p WHERE p.proacl IS NOT NULL AND {p.oid}
    UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, t.typacl, acldefault('T', t.typowner)
      FROM pg_type t WHERE t.typacl IS NOT NULL AND {t.oid}
    UNION ALL SELECT 'pg_language'::regclass, l.oid, 0, l.lanacl, acldefault('l', l.lanowner)
      FROM pg_language l WHERE l.lanispl AND l.lanacl IS NOT NULL AND {l.oid}
    UNION ALL SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl, acldefault('n', n.nspowner)
      FROM pg_namespace n WHERE n.nspacl IS NOT NULL AND {n.oid}
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, w.fdwacl, acldefault('F', w.fdwowner)
      FROM pg_foreign_data_wrapper w WHERE w.fdwacl IS NOT NULL AND {w.oid}
    UNION ALL SELECT 'pg_foreign_server'::regclass, s.oid, 0, s.srvacl, acldefault('S', s.srvowner)
      FROM pg_foreign_server s WHERE s.srvacl IS NOT NULL AND {s.oid}
)
SELECT p.classid, p.objid, p.objsubid, o.type, o.identity,
       p.acl::text[] AS acl, coalesce(i.initprivs, p.usual)::text[] AS "default acl",
       (SELECT d.description FROM pg_description d
         WHERE d.objoid = p.objid AND d.classoid = p.classid AND d.objsubid = p.objsubid) AS comment
  FROM privileges p
  LEFT JOIN pg_init_privs i ON i.classoid = p.classid AND i.objoid = p.objid AND i.objsubid = p.objsubid
 CROSS JOIN LATERAL pg_identify_object(p.classid, p.objid, p.objsubid) AS o
 WHERE p.acl <> coalesce(i.initprivs, p.usual)
   AND coalesce(o.schema, o.identity) <> 'information_schema'
   AND (p.objid < 16384 OR EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = p.classid AND d.objid = p.objid AND d.deptype = 'e'))
