-- Whose is this table or this type, named as the server writes it, and what may we do with it?
-- printed for the schema
SELECT c.relname::text AS name,
       pg_get_userbyid(c.relowner)::text AS owner,
       pg_has_role(c.relowner, 'USAGE') AS owned,
       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AS insertable
  FROM pg_class c
 WHERE c.oid = to_regclass(%(table)s)
UNION ALL
SELECT t.typname::text, pg_get_userbyid(t.typowner)::text, pg_has_role(t.typowner, 'USAGE'), false
  FROM pg_type t
 WHERE t.oid = to_regtype(%(type)s)
