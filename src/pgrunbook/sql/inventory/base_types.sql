-- Which base types are there, and which types that are only declared?
-- of pg_type: t.oid; in t.typnamespace; with pg_type b p
SELECT t.oid, 0, NULL, 'type',
       quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       CASE WHEN t.typisdefined THEN 'base' ELSE 'shell' END AS kind,
       pg_get_userbyid(t.typowner)::text AS owner,
       CASE WHEN t.typisdefined THEN jsonb_strip_nulls(jsonb_build_object(
            'input', nullif(t.typinput, 0)::regprocedure, 'output', nullif(t.typoutput, 0)::regprocedure,
            'receive', nullif(t.typreceive, 0)::regprocedure, 'send', nullif(t.typsend, 0)::regprocedure,
            'typmod_in', nullif(t.typmodin, 0)::regprocedure, 'typmod_out', nullif(t.typmodout, 0)::regprocedure,
            'analyze', nullif(t.typanalyze, 0)::regprocedure, 'subscript', nullif(t.typsubscript, 0)::regprocedure,
            'internallength', t.typlen, 'passedbyvalue', t.typbyval, 'alignment', t.typalign, 'storage', t.typstorage,
            'category', t.typcategory, 'preferred', t.typispreferred, 'default', t.typdefault, 'delimiter', t.typdelim,
            'element', CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END,
            'collatable', t.typcollation <> 0)) END AS definition,
       t.typacl::text[] AS acl, acldefault('T', t.typowner)::text[] AS "default acl"
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE (t.typtype = 'b' OR t.typtype = 'p' AND NOT t.typisdefined) AND {wanted}
   AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
