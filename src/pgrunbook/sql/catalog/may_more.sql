-- May this role do more here than on a twin? There it is no superuser, owns no extension, and is no member of the server's own roles
-- but for some: see `memberships`.
SELECT r.rolsuper OR r.rolbypassrls
       OR EXISTS (SELECT FROM pg_extension e WHERE pg_has_role(r.oid, e.extowner, 'MEMBER'))
       OR EXISTS (SELECT FROM pg_roles p
                   WHERE starts_with(p.rolname, 'pg_') AND pg_has_role(r.oid, p.oid, 'MEMBER')
                     AND p.rolname NOT IN ('pg_database_owner', 'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_monitor',
                                           'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_checkpoint',
                                           'pg_use_reserved_connections')) AS may
  FROM pg_roles r
 WHERE r.rolname = current_user
