-- What are the roles of the cluster called, but for the server's own?
SELECT rolname AS name
  FROM pg_roles
 WHERE rolname !~ '^pg_'
 ORDER BY 1
