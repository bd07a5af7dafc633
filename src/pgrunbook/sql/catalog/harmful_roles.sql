-- Which of these roles are more than names on a server for twins, and why?
-- What is called as one of them could do on the machine what the server can: before version 16 a CREATEROLE makes it so.
-- And who may log in as one would be a member of all others.
SELECT r.rolname AS name,
       CASE WHEN r.rolsuper THEN 'is a superuser'
            WHEN r.rolcreaterole THEN 'may create roles'
            WHEN count(able.oid) > 0 THEN 'is a member of ' || min(able.rolname)
            ELSE 'is for ' || min(person.rolname) || ', who may log in'
       END AS why
  FROM pg_roles r
  LEFT JOIN pg_roles able
    ON pg_has_role(r.oid, able.oid, 'MEMBER')
   AND (able.rolsuper OR able.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
  LEFT JOIN pg_roles person
    ON pg_has_role(person.oid, r.oid, 'MEMBER') AND person.rolcanlogin AND NOT person.rolsuper
   AND NOT starts_with(person.rolname, %(copies)s)
 WHERE r.rolname = ANY (%(names)s)
   AND (r.rolsuper OR r.rolcreaterole OR able.oid IS NOT NULL OR person.oid IS NOT NULL)
 GROUP BY r.oid, r.rolname, r.rolsuper, r.rolcreaterole
 ORDER BY 1
