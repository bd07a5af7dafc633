-- Which database of which cluster is this?
SELECT current_database()::text AS database, system_identifier::text AS system_identifier, pg_is_in_recovery() AS standby
  FROM pg_control_system()
