-- Which types does a value of this column pass through, from the outermost domain down to the base type?
-- printed for the schema
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
       format('%%I.%%I%%s', n.nspname, t.typname, substring(format_type(t.oid, chain.modifier) FROM '\(.*\)$')) AS qualified,
       -- its own, of the operator class that a superuser has made; other types are compared as one of pg_catalog's
       coalesce((SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
                   FROM pg_opclass k
                   JOIN pg_amop m ON m.amopfamily = k.opcfamily AND m.amopstrategy = 3
                                 AND m.amoplefttype = k.opcintype AND m.amoprighttype = k.opcintype
                   JOIN pg_operator o ON o.oid = m.amopopr
                   JOIN pg_namespace s ON s.oid = o.oprnamespace
                  WHERE k.opcintype = t.oid AND k.opcdefault
                    AND k.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')), 'OPERATOR(pg_catalog.=)') AS equals,
       CASE WHEN t.oid IN ('varchar'::regtype, 'bpchar'::regtype) AND chain.modifier > 4
            THEN chain.modifier - 4 END AS max_length,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels
  FROM chain
  JOIN pg_type t ON t.oid = chain.oid
  JOIN pg_namespace n ON n.oid = t.typnamespace
 ORDER BY chain.depth
