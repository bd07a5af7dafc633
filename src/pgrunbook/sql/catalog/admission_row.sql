-- Which columns does a row of this relation have, of which base type and collation, and with which default?
-- printed for the schema
WITH RECURSIVE base (attnum, oid) AS (
    SELECT attnum, atttypid FROM pg_attribute
     WHERE attrelid = %(relation)s::oid AND attnum > 0 AND NOT attisdropped
     UNION ALL
    SELECT base.attnum, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype = 'd'
)
SELECT a.attname::text AS "column",
       format_type(t.oid, -1) AS type,
       CASE WHEN a.attcollation <> t.typcollation
            THEN (SELECT format(' COLLATE %%I.%%I', n.nspname, l.collname)
                    FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                   WHERE l.oid = a.attcollation) END AS collation,
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "default"
  FROM base
  JOIN pg_type t ON t.oid = base.oid AND t.typtype <> 'd'
  JOIN pg_attribute a ON a.attrelid = %(relation)s::oid AND a.attnum = base.attnum
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 ORDER BY a.attnum
