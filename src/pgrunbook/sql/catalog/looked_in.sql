-- Which of these schemas of a search path are there ("$user" only if it is); and what of each is in the hands of a role that is
-- not trusted: the schema itself, the privilege to create in it, or something that lies there? Of one that is not there, the
-- privilege to create it counts. What a role may still do counts only if somebody may become that role: it may log in, or one
-- of its members may. Before version 16, whoever may make roles could let any of them.
WITH trusted AS (
-- as trusted.sql says
), wanted AS (
    SELECT w.place, coalesce(n.nspname::text, w.name) AS name, n.oid, n.nspowner, n.nspacl
      FROM unnest(%(schemas)s::text[]) WITH ORDINALITY AS w (name, place)
      LEFT JOIN pg_namespace n ON n.nspname = CASE WHEN w.name = '$user' THEN current_user ELSE w.name END
     WHERE n.oid IS NOT NULL OR w.name <> '$user'
), granted AS (
    SELECT w.place, a.grantee
      FROM wanted w
     CROSS JOIN aclexplode(coalesce(w.nspacl, acldefault('n', w.nspowner))) AS a
     WHERE w.oid IS NOT NULL AND a.privilege_type = 'CREATE'
     UNION ALL
    SELECT w.place, a.grantee
      FROM wanted w
      JOIN pg_database d ON d.datname = current_database()
     CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
     WHERE w.oid IS NULL AND a.privilege_type = 'CREATE'
), lying AS (
    SELECT 'pg_class'::regclass AS class, c.oid, c.relnamespace AS namespace, c.relowner AS owner
      FROM pg_class c
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') -- what reads or writes them may run code
     UNION ALL
    SELECT 'pg_type'::regclass, t.oid, t.typnamespace, t.typowner
      FROM pg_type t
     WHERE NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND t.typtype <> 'm'
       AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
     UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, p.pronamespace, p.proowner FROM pg_proc p
     UNION ALL
    SELECT 'pg_operator'::regclass, o.oid, o.oprnamespace, o.oprowner FROM pg_operator o
     UNION ALL
    SELECT 'pg_opclass'::regclass, o.oid, o.opcnamespace, o.opcowner FROM pg_opclass o
     UNION ALL
    SELECT 'pg_opfamily'::regclass, o.oid, o.opfnamespace, o.opfowner FROM pg_opfamily o
     UNION ALL
    SELECT 'pg_collation'::regclass, c.oid, c.collnamespace, c.collowner FROM pg_collation c
     UNION ALL
    SELECT 'pg_conversion'::regclass, c.oid, c.connamespace, c.conowner FROM pg_conversion c
     UNION ALL
    SELECT 'pg_ts_config'::regclass, t.oid, t.cfgnamespace, t.cfgowner FROM pg_ts_config t
     UNION ALL
    SELECT 'pg_ts_dict'::regclass, t.oid, t.dictnamespace, t.dictowner FROM pg_ts_dict t
), theirs AS (
    SELECT w.place, 1 AS rank, 'owns it' AS what, w.nspowner AS role, NULL::text AS kind, NULL::text AS object
      FROM wanted w
     WHERE w.nspowner NOT IN (SELECT oid FROM trusted)
     UNION ALL
    SELECT g.place, 2, 'may create objects in it', g.grantee, NULL, NULL
      FROM granted g
     WHERE g.grantee NOT IN (SELECT oid FROM trusted)
     UNION ALL
    SELECT w.place, 3, 'owns an object in it', l.owner, o.type, o.identity
      FROM wanted w
      JOIN lying l ON l.namespace = w.oid
     CROSS JOIN pg_identify_object(l.class, l.oid, 0) AS o
     WHERE l.owner NOT IN (SELECT oid FROM trusted)
       AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                        WHERE d.classid = l.class AND d.objid = l.oid AND d.deptype = 'e'
                          AND e.extowner IN (SELECT oid FROM trusted))
)
SELECT w.name, w.oid IS NOT NULL AS there, t.what, t.kind, t.object,
       CASE WHEN t.role = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(t.role)::text END AS role
  FROM wanted w
  LEFT JOIN LATERAL (
       SELECT *
         FROM theirs t
        WHERE t.place = w.place
          AND (t.role = 0 OR t.object IS NOT NULL OR EXISTS (
               SELECT FROM pg_roles l
                WHERE l.rolcanlogin
                  AND l.oid NOT IN (SELECT oid FROM trusted)
                  AND (pg_has_role(l.oid, t.role, 'MEMBER')
                       OR current_setting('server_version_num')::int < 160000
                      AND EXISTS (SELECT FROM pg_roles m WHERE m.rolcreaterole AND pg_has_role(l.oid, m.oid, 'MEMBER')))))
        ORDER BY t.rank, t.role, t.kind, t.object
        LIMIT 1) AS t ON true
 ORDER BY w.place
