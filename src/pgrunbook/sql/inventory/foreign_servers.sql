-- Which foreign servers are there?
-- of pg_foreign_server: s.oid
SELECT s.oid, 0, NULL, 'server', quote_ident(s.srvname),
       pg_get_userbyid(s.srvowner)::text AS owner,
       w.fdwname::text AS wrapper,
       s.srvtype AS type,
       s.srvversion AS version,
       s.srvoptions AS "foreign options",
       s.srvacl::text[] AS acl, acldefault('S', s.srvowner)::text[] AS "default acl"
  FROM pg_foreign_server s
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
 WHERE {wanted}
