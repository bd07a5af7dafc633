-- What may this role do in the database, in the schema, and with the ledger?
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s) AS schema_exists,
       coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %(schema)s), false) AS schema_usage,
       coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %(schema)s), false) AS schema_create,
       has_database_privilege(current_database(), 'CREATE') AS database_create,
       has_database_privilege(current_database(), 'TEMPORARY') AS database_temporary,
       EXISTS (SELECT FROM pg_namespace WHERE nspname = 'pgrunbook') AS ledger_exists,
       coalesce(ledger.readable, true) AS ledger_readable,
       coalesce(ledger.readable AND ledger.insertable, false) AS ledger_writable,
       coalesce(ledger.owned, false) AS ledger_owned,
       ledger.owner AS ledger_owner
  FROM (SELECT bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) AS readable,
               bool_and(has_table_privilege(c.oid, 'INSERT')) AS insertable,
               bool_and(pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE')) AS owned,
               string_agg(DISTINCT pg_get_userbyid(c.relowner)::text, ', ') AS owner
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'pgrunbook'
           AND c.relkind = 'r') AS ledger
