-- Which names, that everybody may read, have so many characters or more? What they are compared with stays on our side: the
-- server may log what it is asked.
SELECT kind, name
  FROM (SELECT 'role' AS kind, rolname::text AS name FROM pg_roles
         UNION
        SELECT 'database', datname FROM pg_database
         UNION
        SELECT 'schema', nspname FROM pg_namespace
         UNION
        SELECT 'relation', relname FROM pg_class WHERE oid >= 16384
         UNION
        SELECT 'column', attname FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
         UNION
        SELECT 'type', typname FROM pg_type WHERE oid >= 16384
         UNION
        SELECT 'enum label', enumlabel FROM pg_enum
         UNION
        SELECT 'function', proname FROM pg_proc WHERE oid >= 16384
         UNION
        SELECT 'constraint', conname FROM pg_constraint WHERE oid >= 16384
         UNION
        SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal
         UNION
        SELECT 'policy', polname FROM pg_policy) AS named
 WHERE length(name) >= %(length)s
 ORDER BY kind, name
