-- Of which of these addresses does no comment say anything?
SELECT a.classid::int8, a.objid::int8, a.objsubid
  FROM unnest({0}::oid[], {1}::oid[], {2}::int8[]) AS a (classid, objid, objsubid)
 WHERE NOT EXISTS (SELECT FROM pg_description d
                    WHERE d.objoid = a.objid AND d.classoid = a.classid AND d.objsubid = a.objsubid)
   AND NOT EXISTS (SELECT FROM pg_shdescription d WHERE d.objoid = a.objid AND d.classoid = a.classid)
