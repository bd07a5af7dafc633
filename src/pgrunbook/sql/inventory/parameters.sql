-- Which configuration parameters may who set, by GRANT?
-- of pg_parameter_acl: p.oid
SELECT p.oid, 0, NULL, 'parameter', p.parname,
       p.paracl::text[] AS acl, acldefault('p', 10)::text[] AS "default acl"
  FROM pg_parameter_acl p
 WHERE {wanted}
