-- Which settings do the sessions of a role, or in a database, begin with?
-- of pg_db_role_setting: s.setdatabase, s.setrole
SELECT s.setdatabase, s.setrole::int8, NULL, 'settings',
       concat_ws(' in database ', 'of ' || coalesce('role ' || quote_ident(r.rolname), 'all roles'),
                 CASE d.datname WHEN current_database() THEN 'current_database()' ELSE quote_ident(d.datname) END),
       s.setconfig AS settings
  FROM pg_db_role_setting s
  LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
 WHERE {wanted}
