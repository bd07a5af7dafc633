-- Which columns would no longer take a value: this one, those of these types, those that look it up in these columns?
-- printed for the schema
WITH lookups AS (
    SELECT to_regclass(l.relation) AS relation, l.key
      FROM unnest(%(lookups)s::text[], %(keys)s::text[]) AS l (relation, key)
)
SELECT c.oid::regclass::text AS "table", quote_ident(a.attname) AS "column",
       format('%%I.%%I', n.nspname, c.relname) AS qualified,
       -- its own, of the operator class that a superuser has made; other types are compared as one of pg_catalog's
       coalesce((WITH RECURSIVE base (oid) AS (
                     SELECT a.atttypid
                      UNION ALL
                     SELECT t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype = 'd')
                 SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
                   FROM base
                   JOIN pg_opclass k ON k.opcintype = base.oid AND k.opcdefault
                    AND k.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
                   JOIN pg_amop m ON m.amopfamily = k.opcfamily AND m.amopstrategy = 3
                                 AND m.amoplefttype = k.opcintype AND m.amoprighttype = k.opcintype
                   JOIN pg_operator o ON o.oid = m.amopopr
                   JOIN pg_namespace s ON s.oid = o.oprnamespace), 'OPERATOR(pg_catalog.=)') AS equals
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p')
   AND (n.nspname, c.relname, a.attname) = (%(schema)s, %(table)s, %(column)s)
    OR c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND c.oid NOT IN (SELECT relation FROM lookups WHERE relation IS NOT NULL) -- its row goes with the value
   AND (a.atttypid IN (SELECT to_regtype(type) FROM unnest(%(types)s::text[]) AS type)
        OR EXISTS (SELECT FROM lookups
                     JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = c.oid AND k.confrelid = lookups.relation
                     JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attname = lookups.key
                    WHERE b.attnum = k.confkey[array_position(k.conkey, a.attnum)]))
 ORDER BY 1, 2
