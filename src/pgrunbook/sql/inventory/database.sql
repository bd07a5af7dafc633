-- What is this database like? It has another name where it is copied to.
-- of pg_database: d.oid
SELECT d.oid, 0, NULL, 'database', 'current_database()',
       pg_get_userbyid(d.datdba)::text AS owner,
       nullif(d.datconnlimit, -1) AS "connection limit",
       NOT d.datallowconn AS "no connections",
       d.datistemplate AS "is template",
       d.datacl::text[] AS acl, acldefault('d', d.datdba)::text[] AS "default acl"
  FROM pg_database d
 WHERE d.datname = current_database() AND {wanted}
