-- Which roles do the policies of row security name?
SELECT DISTINCT rolname AS name
  FROM pg_policy
  JOIN pg_roles r ON r.oid = ANY (polroles)
 WHERE rolname !~ '^pg_'
 ORDER BY 1
