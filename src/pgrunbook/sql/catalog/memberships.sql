-- What makes these roles members of each other, as they are here, on a server of the same version? A superuser may be whoever it
-- likes, but for its own members: no two roles can be members of each other. Nobody is a member of the run's role, which is to
-- be one of all. Of the server's own roles those that reach what is in a database, or only look at the server: the others can
-- do on the machine what the server can.
WITH granted AS (
    SELECT oid, rolname, rolsuper
      FROM pg_roles
     WHERE rolname = ANY (%(names)s) AND rolname <> current_user
        OR rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_monitor', 'pg_read_all_settings',
                       'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_checkpoint', 'pg_use_reserved_connections')
), options AS (
    -- several roles may have granted one; the columns of version 16 are missing before
    SELECT a.roleid, a.member, bool_or(a.admin_option) AS admin,
           bool_or((to_jsonb(a) ->> 'inherit_option')::bool) AS inherit, bool_or((to_jsonb(a) ->> 'set_option')::bool) AS set
      FROM pg_auth_members a
     GROUP BY a.roleid, a.member
)
SELECT format('ALTER ROLE %%I NOINHERIT', rolname) AS sql, 0 AS place
  FROM pg_roles
 WHERE rolname = ANY (%(names)s) AND NOT rolinherit AND NOT rolsuper AND rolname <> current_user
UNION ALL
SELECT format('GRANT %%I TO %%I', g.rolname, m.rolname)
       || CASE WHEN o.set IS NOT NULL THEN format(' WITH ADMIN %%s, INHERIT %%s, SET %%s', o.admin::text, o.inherit::text, o.set::text)
               WHEN o.admin THEN ' WITH ADMIN OPTION'
               ELSE ''
          END, 1
  FROM options o
  JOIN granted g ON g.oid = o.roleid
  JOIN pg_roles m ON m.oid = o.member AND m.rolname = ANY (%(names)s) AND NOT m.rolsuper
UNION ALL
SELECT format('GRANT %%I TO %%I WITH ADMIN OPTION', g.rolname, s.rolname), 2
  FROM granted g
  JOIN pg_roles s ON s.rolsuper AND s.rolname = ANY (%(names)s) AND NOT g.rolsuper
 ORDER BY place, sql
