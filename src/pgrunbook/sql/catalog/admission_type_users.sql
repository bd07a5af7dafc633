-- Which other columns have this type, as it is, under a domain, or inside another type?
-- printed for the schema
WITH RECURSIVE family (oid, inside) AS (
    SELECT %(type_oid)s::oid, false
     UNION
    SELECT t.oid, family.inside OR t.typtype <> 'd'
      FROM family
      JOIN pg_type t ON t.typbasetype = family.oid
                     OR t.typelem = family.oid
                     OR EXISTS (SELECT FROM pg_attribute a
                                 WHERE a.attrelid = t.typrelid AND a.atttypid = family.oid AND t.typtype = 'c')
)
SELECT c.oid::regclass || '.' || quote_ident(a.attname) AS "column",
       bool_or(family.inside) AS inside
  FROM family
  JOIN pg_attribute a ON a.atttypid = family.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 WHERE NOT (c.oid = %(relation)s::oid AND a.attname = %(column)s)
 GROUP BY 1
 ORDER BY 1
