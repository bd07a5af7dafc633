-- Which role is a member of which, and who has granted it? Several may have.
-- of pg_auth_members: a.roleid, a.member
SELECT a.roleid, a.member::int8, NULL, 'role membership', quote_ident(m.rolname) || ' in ' || quote_ident(r.rolname),
       jsonb_object_agg(coalesce(g.rolname, '-'), to_jsonb(a) - '{oid,roleid,member,grantor}'::text[]) AS "granted by"
  FROM pg_auth_members a
  JOIN pg_roles r ON r.oid = a.roleid
  JOIN pg_roles m ON m.oid = a.member
  LEFT JOIN pg_roles g ON g.oid = a.grantor
 WHERE NOT (r.rolname ~ '^pg_' AND m.rolname ~ '^pg_') AND {wanted}
 GROUP BY a.roleid, a.member, r.rolname, m.rolname
