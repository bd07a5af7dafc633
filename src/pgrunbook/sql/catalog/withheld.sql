-- Which functions of extensions may not everybody call? How pg_restore begins the line of their privileges.
SELECT DISTINCT format('ACL %%s FUNCTION %%s(', n.nspname, quote_ident(p.proname)) AS acl
  FROM pg_init_privs i
  JOIN pg_proc p ON i.classoid = 'pg_proc'::regclass AND p.oid = i.objoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE i.privtype = 'e'
