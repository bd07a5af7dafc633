-- Which security labels are there?
SELECT d.classoid, d.objoid, d.objsubid, jsonb_object_agg(d.provider, d.label)
  FROM (SELECT classoid, objoid, objsubid, provider, label FROM pg_seclabel
         UNION ALL SELECT classoid, objoid, 0, provider, label FROM pg_shseclabel) AS d
 WHERE {wanted}
 GROUP BY 1, 2, 3
