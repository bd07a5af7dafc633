-- Which types does a value of this column pass through, from the outermost domain down to the base type?
WITH RECURSIVE chain (oid, modifier, depth) AS (
    SELECT a.atttypid, a.atttypmod, 0
      FROM pg_attribute a
     WHERE a.attrelid = %(relation)s::oid AND a.attname = %(column)s AND NOT a.attisdropped
     UNION ALL
    SELECT t.typbasetype, t.typtypmod, chain.depth + 1
      FROM chain JOIN pg_type t ON t.oid = chain.oid AND t.typtype = 'd'
)
SELECT t.oid::int8 AS type_oid,
       t.typtype::text AS kind,
       t.typcategory::text AS category,
       format_type(t.oid, -1) AS name,
       format_type(t.oid, chain.modifier) AS full_name,
       CASE WHEN t.oid IN ('varchar'::regtype, 'bpchar'::regtype) AND chain.modifier > 4
            THEN chain.modifier - 4 END AS max_length,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels
  FROM chain JOIN pg_type t ON t.oid = chain.oid
 ORDER BY chain.depth
