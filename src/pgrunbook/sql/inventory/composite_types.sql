-- Which composite types are there that are no table's, with which attributes?
-- of pg_type: t.oid; in t.typnamespace; with pg_class c
SELECT t.oid, 0, NULL, 'type',
       quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       'composite' AS kind,
       pg_get_userbyid(t.typowner)::text AS owner,
       ARRAY(SELECT concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                              CASE WHEN a.attcollation <> b.typcollation THEN
                                   'COLLATE ' || a.attcollation::regcollation END)
               FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid
              WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attnum) AS attributes,
       (SELECT jsonb_object_agg(a.attname, d.description)
          FROM pg_attribute a
          JOIN pg_description d ON d.objoid = a.attrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS "comments on attributes",
       t.typacl::text[] AS acl, acldefault('T', t.typowner)::text[] AS "default acl"
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_class c ON c.oid = t.typrelid
 WHERE t.typtype = 'c' AND c.relkind = 'c' AND {wanted}
