-- Which collations are there?
-- of pg_collation: c.oid; in c.collnamespace
-- The locale of ICU is in another column since version 17, its rules are since 16.
SELECT c.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(c.collowner)::text AS owner,
       CASE c.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'default' END AS provider,
       NOT c.collisdeterministic AS nondeterministic,
       c.collcollate::text AS lc_collate,
       c.collctype::text AS lc_ctype,
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale') AS locale,
       to_jsonb(c) ->> 'collicurules' AS rules
  FROM pg_collation c
 CROSS JOIN LATERAL pg_identify_object('pg_collation'::regclass, c.oid, 0) AS o
 WHERE {wanted}
