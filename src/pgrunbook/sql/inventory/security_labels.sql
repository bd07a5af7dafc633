-- Which security labels are there?
SELECT d.classoid, d.objoid, d.objsubid, jsonb_object_agg(d.provider, d.label)
  FROM pg_seclabel d
 WHERE {wanted}
 GROUP BY 1, 2, 3
