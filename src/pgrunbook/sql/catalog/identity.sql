-- Which server and database is this, and as whom are we here?
SELECT current_database()::text AS database,
       coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local socket') AS host,
       current_setting('server_version') AS server_version,
       current_user::text AS role,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END AS recovery,
       -- reset_val: what this role gets here by default, whatever this session has set for itself
       (SELECT reset_val::boolean FROM pg_settings
         WHERE name = 'default_transaction_read_only') AS read_only,
       current_setting('is_superuser')::boolean AS superuser
