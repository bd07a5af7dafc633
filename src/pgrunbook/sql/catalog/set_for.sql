-- Which value does a setting have in a session of this role before it sets one, is it what PostgreSQL has by itself, and where
-- is one set for it, the place that counts first, and how is it written there?
SELECT here.reset_val AS value,
       here.reset_val = here.boot_val AS built_in,
       r.rolname::text AS role,
       d.datname::text AS database,
       s.written
  FROM (VALUES (1)) AS always
  LEFT JOIN pg_settings here ON here.name = %(setting)s
  LEFT JOIN (SELECT setrole, setdatabase, unnest(setconfig) AS written FROM pg_db_role_setting) s
         ON starts_with(s.written, %(setting)s || '=')
        AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
 ORDER BY s.setrole = 0, s.setdatabase = 0
 LIMIT 1
