-- Which range types are there? Each is named with its multirange type.
-- of pg_type: t.oid; in t.typnamespace; with pg_type r
SELECT t.oid, 0, NULL, 'type',
       quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       'range' AS kind,
       pg_get_userbyid(t.typowner)::text AS owner,
       format_type(r.rngsubtype, NULL) AS subtype,
       format_type(r.rngmultitypid, NULL) AS multirange,
       (pg_identify_object('pg_opclass'::regclass, r.rngsubopc, 0)).identity AS "operator class",
       CASE WHEN r.rngcollation <> b.typcollation THEN r.rngcollation::regcollation::text END AS collation,
       CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::regprocedure::text END AS canonical,
       CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::regprocedure::text END AS "difference",
       t.typacl::text[] AS acl, acldefault('T', t.typowner)::text[] AS "default acl"
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_range r ON r.rngtypid = t.oid
  JOIN pg_type b ON b.oid = r.rngsubtype
 WHERE t.typtype = 'r' AND {wanted}
