-- Where does the catalog keep these relations, their parts, and what depends on them? In the form of pg_depend; a relation
-- that is not there has a row without an address.
WITH named AS (
    SELECT format('%%I.%%I', g.schema, g.name) AS identity, c.oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS g (schema, name)
      LEFT JOIN pg_namespace n ON n.nspname = g.schema
      LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = g.name
), tables AS (
    SELECT oid FROM named
     UNION
    SELECT x.indrelid FROM named JOIN pg_index x ON x.indexrelid = named.oid
), parts AS (
    SELECT 1259 AS classid, oid::bigint AS objid, 0 AS objsubid FROM tables WHERE oid IS NOT NULL
     UNION
    SELECT 1259, a.attrelid::bigint, a.attnum
      FROM tables JOIN pg_attribute a ON a.attrelid = tables.oid AND a.attnum > 0 AND NOT a.attisdropped
     UNION
    SELECT 1259, x.indexrelid::bigint, 0 FROM tables JOIN pg_index x ON x.indrelid = tables.oid
     UNION
    SELECT 2606, k.oid::bigint, 0 FROM tables JOIN pg_constraint k ON k.conrelid = tables.oid
     UNION
    SELECT 2620, g.oid::bigint, 0 FROM tables JOIN pg_trigger g ON g.tgrelid = tables.oid AND NOT g.tgisinternal
     UNION
    SELECT 3256, p.oid::bigint, 0 FROM tables JOIN pg_policy p ON p.polrelid = tables.oid
     UNION
    SELECT 2618, r.oid::bigint, 0 FROM tables JOIN pg_rewrite r ON r.ev_class = tables.oid AND r.rulename <> '_RETURN'
     UNION
    SELECT d.classid::bigint, d.objid::bigint, d.objsubid
      FROM tables JOIN pg_depend d ON d.refclassid = 1259 AND d.refobjid = tables.oid
     WHERE d.classid NOT IN (2604, 2618) -- of a column's default, and of a view's rule, the column and the view are meant
     UNION
    SELECT 1259, r.ev_class::bigint, 0
      FROM tables
      JOIN pg_depend d ON d.refclassid = 1259 AND d.refobjid = tables.oid AND d.classid = 2618
      JOIN pg_rewrite r ON r.oid = d.objid
)
SELECT identity, NULL AS classid, NULL AS objid, NULL AS objsubid FROM named
 UNION ALL
SELECT NULL, classid, objid, objsubid FROM parts
