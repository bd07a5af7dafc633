-- What may these roles do, and which are they members of? Of passwords nothing is read.
SELECT r.oid, 0, NULL, 'role', quote_ident(r.rolname),
       r.rolsuper AS superuser,
       r.rolinherit AS inherit,
       r.rolcreaterole AS createrole,
       r.rolcreatedb AS createdb,
       r.rolcanlogin AS login,
       r.rolreplication AS replication,
       r.rolbypassrls AS bypassrls,
       nullif(r.rolconnlimit, -1) AS "connection limit",
       r.rolvaliduntil::text AS "valid until",
       r.rolconfig AS settings,
       ARRAY(SELECT concat_ws(' ', quote_ident(g.rolname), CASE WHEN m.admin_option THEN 'WITH ADMIN' END,
                              'INHERIT ' || (to_jsonb(m) ->> 'inherit_option'), -- since version 16, as is SET
                              'SET ' || (to_jsonb(m) ->> 'set_option'))
               FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid ORDER BY 1) AS "member of"
  FROM pg_roles r
 WHERE r.rolname = ANY ({names})
