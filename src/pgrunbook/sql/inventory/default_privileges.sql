-- Which privileges will objects have that are not there yet?
-- of pg_default_acl: d.oid
SELECT d.oid, 0, NULL, o.type, o.identity,
       d.defaclacl::text[] AS acl,
       CASE WHEN d.defaclnamespace = 0 THEN
            acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)::text[]
            ELSE '{}'::text[] END AS "default acl"
  FROM pg_default_acl d
 CROSS JOIN LATERAL pg_identify_object('pg_default_acl'::regclass, d.oid, 0) AS o
 WHERE {wanted}
