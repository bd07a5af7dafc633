-- Which comments are there?
SELECT d.classoid, d.objoid, d.objsubid, d.description
  FROM pg_description d
 WHERE {wanted}
