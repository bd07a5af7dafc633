-- Which schemas are there?
-- of pg_namespace: n.oid; in n.oid
SELECT n.oid, 0, NULL, 'schema', quote_ident(n.nspname),
       pg_get_userbyid(n.nspowner)::text AS owner,
       n.nspacl::text[] AS acl, acldefault('n', n.nspowner)::text[] AS "default acl"
  FROM pg_namespace n
 WHERE {wanted}
