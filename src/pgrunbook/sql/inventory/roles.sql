-- Which roles does the cluster have? Passwords nobody is told.
-- of pg_authid: r.oid
SELECT r.oid, 0, NULL, 'role', quote_ident(r.rolname),
       r.rolsuper AS superuser,
       NOT r.rolinherit AS noinherit,
       r.rolcreaterole AS createrole,
       r.rolcreatedb AS createdb,
       r.rolcanlogin AS login,
       r.rolreplication AS replication,
       r.rolbypassrls AS bypassrls,
       nullif(r.rolconnlimit, -1) AS "connection limit",
       r.rolvaliduntil::text AS "valid until"
  FROM pg_roles r
 WHERE r.rolname !~ '^pg_' AND {wanted}
