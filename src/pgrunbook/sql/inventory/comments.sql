-- Which comments are there?
SELECT d.classoid, d.objoid, d.objsubid, d.description
  FROM pg_description d
 WHERE {wanted}
 UNION ALL
SELECT d.classoid, d.objoid, 0, d.description
  FROM pg_shdescription d
 WHERE {wanted}
