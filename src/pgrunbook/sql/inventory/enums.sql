-- Which enums are there, with which labels?
-- of pg_type: t.oid; in t.typnamespace; with pg_type e
SELECT t.oid, 0, NULL, 'type',
       quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       'enum' AS kind,
       pg_get_userbyid(t.typowner)::text AS owner,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       t.typacl::text[] AS acl, acldefault('T', t.typowner)::text[] AS "default acl"
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype = 'e' AND {wanted}
