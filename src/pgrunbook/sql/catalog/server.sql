-- What tells this server and database from their copies, but for the timeline? The role may not be shown the data directory;
-- what a session, a role or a database has set is no fact of the server.
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database_oid,
       -- A loopback address is the same on every host, as where a tunnel ends: it tells nothing.
       CASE WHEN NOT (inet_server_addr() <<= inet '127.0.0.0/8' OR inet_server_addr() = inet '::1')
            THEN host(inet_server_addr()) || ':' || inet_server_port() END AS address,
       (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory,
       (SELECT nullif(setting, '') FROM pg_settings
         WHERE name = 'neon.timeline_id' AND context = 'postmaster') AS branch,
       pg_postmaster_start_time() AS server_started_at
