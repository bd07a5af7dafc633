-- What do these names mean in the schema, as relations or as types, and what may the role do with them, or we, if it is NULL?
SELECT c.relname::text AS name,
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                      WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
                      WHEN 'c' THEN 'composite type' ELSE 'index' END AS kind,
       (SELECT t.relname::text FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid
         WHERE x.indexrelid = c.oid) AS on_table,
       pg_get_userbyid(c.relowner)::text AS owner,
       coalesce(pg_has_role(r.oid, c.relowner, 'USAGE'), false) AS owned,
       c.relkind IN ('r', 'p', 'm', 'f') AND coalesce(has_table_privilege(r.oid, c.oid, 'SELECT'), false) AS readable,
       c.relkind IN ('r', 'p') AND coalesce(has_table_privilege(r.oid, c.oid, 'REFERENCES')
                                            OR has_any_column_privilege(r.oid, c.oid, 'REFERENCES'), false) AS referable
  FROM pg_class c
  LEFT JOIN pg_roles r ON r.rolname = coalesce(%(role)s, current_user)
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (%(names)s)
UNION ALL
SELECT t.typname::text,
       CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range type' ELSE 'type' END,
       NULL, pg_get_userbyid(t.typowner)::text, coalesce(pg_has_role(r.oid, t.typowner, 'USAGE'), false), false, false
  FROM pg_type t
  LEFT JOIN pg_roles r ON r.rolname = coalesce(%(role)s, current_user)
 WHERE t.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND t.typname = ANY (%(names)s)
   AND t.typrelid = 0
