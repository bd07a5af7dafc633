-- Which sequences are there, and which columns own them?
-- of pg_class: c.oid; in c.relnamespace; with pg_class S
SELECT c.oid, 0, NULL, 'sequence',
       quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_get_userbyid(c.relowner)::text AS owner,
       CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
       format_type(s.seqtypid, NULL) AS type,
       s.seqstart AS start,
       s.seqincrement AS increment,
       s.seqmin AS minimum,
       s.seqmax AS maximum,
       s.seqcache AS cache,
       s.seqcycle AS cycle,
       CASE WHEN d.deptype = 'a' THEN d.refobjid::regclass || '.' || quote_ident(a.attname) END AS "owned by",
       CASE WHEN d.deptype = 'i' THEN d.refobjid::regclass || '.' || quote_ident(a.attname) END AS "identity of",
       c.relacl::text[] AS acl, acldefault('s', c.relowner)::text[] AS "default acl"
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_sequence s ON s.seqrelid = c.oid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE c.relkind = 'S' AND {wanted}
