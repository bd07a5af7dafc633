-- Which of these roles are there, and may this session become them by SET ROLE? Who has logged in decides that, whatever role it is.
SELECT given.name,
       r.oid IS NOT NULL AS there,
       coalesce(pg_has_role(session_user, r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END), false) AS may
  FROM unnest(%(names)s::text[]) AS given (name)
  LEFT JOIN pg_roles r ON r.rolname = given.name
 ORDER BY given.name
