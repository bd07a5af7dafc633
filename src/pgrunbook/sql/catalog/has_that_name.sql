-- Does PostgreSQL's message (said) quote the name, behind its schema or alone, of anything that is there and that a copy of a
-- database may lack: of the cluster, of the server's own, or what no dump has?
SELECT EXISTS (
  SELECT
    FROM (
          SELECT rolname AS name FROM pg_roles
          UNION ALL SELECT spcname FROM pg_tablespace
          UNION ALL SELECT datname FROM pg_database
          UNION ALL SELECT collname FROM pg_collation
          UNION ALL SELECT conname FROM pg_conversion
          UNION ALL SELECT amname FROM pg_am
          UNION ALL SELECT lanname FROM pg_language
          UNION ALL SELECT extname FROM pg_extension
          UNION ALL SELECT evtname FROM pg_event_trigger
          UNION ALL SELECT pubname FROM pg_publication
          UNION ALL SELECT subname FROM pg_subscription
          UNION ALL SELECT fdwname FROM pg_foreign_data_wrapper
          UNION ALL SELECT srvname FROM pg_foreign_server
          UNION ALL SELECT stxname FROM pg_statistic_ext
          UNION ALL SELECT opcname FROM pg_opclass
          UNION ALL SELECT opfname FROM pg_opfamily
          UNION ALL SELECT cfgname FROM pg_ts_config
          UNION ALL SELECT dictname FROM pg_ts_dict
          UNION ALL SELECT prsname FROM pg_ts_parser
          UNION ALL SELECT tmplname FROM pg_ts_template
          UNION ALL SELECT typname FROM pg_type
          UNION ALL SELECT relname FROM pg_class
         ) AS names
   WHERE strpos(%(said)s, '"' || name || '"') > 0 OR strpos(%(said)s, '.' || name || '"') > 0) AS there
