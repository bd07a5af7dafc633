-- Which extensions does the database have, in which schemas? `reaches_out`: it brings a foreign-data wrapper, and so
-- opens files and connections of the machine that it is called on.
SELECT e.oid::bigint AS oid, e.extname AS name, e.extversion AS version, n.nspname AS schema,
       EXISTS (SELECT FROM pg_depend d
                WHERE d.classid = 'pg_foreign_data_wrapper'::regclass AND d.deptype = 'e'
                  AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid) AS reaches_out
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname <> 'plpgsql'
 ORDER BY e.extname
