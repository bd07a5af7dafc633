-- From which roles does row security hide rows of which of these tables, as row_security_active() says of our own?
SELECT n.nspname::text AS "schema",
       c.relname::text AS "table",
       r.rolname::text AS role,
       c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls)
       AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')) AS hides
  FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(names)s::text[]) AS given (nspname, relname, rolname)
  JOIN pg_namespace n ON n.nspname = given.nspname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.relname
  JOIN pg_roles r ON r.rolname = given.rolname
