-- Which procedural languages are there that initdb has not made?
-- of pg_language: l.oid
SELECT l.oid, 0, NULL, 'language', quote_ident(l.lanname),
       pg_get_userbyid(l.lanowner)::text AS owner,
       l.lanpltrusted AS trusted,
       nullif(l.lanplcallfoid, 0)::regprocedure::text AS handler,
       nullif(l.laninline, 0)::regprocedure::text AS inline,
       nullif(l.lanvalidator, 0)::regprocedure::text AS validator,
       l.lanacl::text[] AS acl, acldefault('l', l.lanowner)::text[] AS "default acl"
  FROM pg_language l
 WHERE l.oid >= 16384 AND {wanted}
