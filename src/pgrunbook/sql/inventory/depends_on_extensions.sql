-- Which objects are to go with an extension, though they are no members of it?
SELECT d.classoid, d.objoid, 0, array_agg(e.extname::text ORDER BY e.extname)
  FROM (SELECT classid, objid, refobjid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'x')
       AS d (classoid, objoid, extension)
  JOIN pg_extension e ON e.oid = d.extension
 WHERE {wanted}
 GROUP BY 1, 2
