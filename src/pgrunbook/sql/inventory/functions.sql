-- Which functions and procedures are there? What a type has made for itself is part of the type.
-- of pg_proc: p.oid; in p.pronamespace; with pg_proc f p w
SELECT p.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(p.proowner)::text AS owner,
       pg_get_functiondef(p.oid) AS definition,
       p.proacl::text[] AS acl, acldefault('f', p.proowner)::text[] AS "default acl"
  FROM pg_proc p
 CROSS JOIN LATERAL pg_identify_object('pg_proc'::regclass, p.oid, 0) AS o
 WHERE p.prokind <> 'a' AND {wanted}
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
