-- What depends on these relations, on one column of each where a number is given, or on a constraint of each that is named:
-- what reads them, refers to them, or goes with them?
-- `sets` are the columns that a statement sets, as JSON: a key that refers to others does not count; if there are none, each counts.
-- printed for the schema
WITH given AS (
    SELECT g.*, k.oid AS named, k.conindid AS key
      FROM unnest(%(oids)s::oid[], %(attnums)s::int[], %(parts)s::text[], %(sets)s::text[])
                AS g (oid, attnum, part, sets)
      LEFT JOIN pg_constraint k ON g.part <> '' AND k.conrelid = g.oid AND k.conname = g.part
), depends AS (
    SELECT g.oid AS on_relation, g.attnum, g.part, g.sets, d.classid, d.objid
      FROM given g
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = g.oid AND g.attnum IN (0, d.refobjsubid)
     WHERE g.part = ''
     UNION
    SELECT g.oid, g.attnum, g.part, g.sets, d.classid, d.objid
      FROM given g
      JOIN pg_depend d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = g.named
)
SELECT d.on_relation::bigint AS oid, d.attnum, d.part, d.sets,
       CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::regclass AS dependent
  FROM depends d
  JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class AND v.oid <> d.on_relation
UNION
SELECT g.oid::bigint, g.attnum, g.part, g.sets, 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass
  FROM given g
  JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = g.oid AND k.conrelid <> g.oid AND k.conparentid = 0
                      AND (g.attnum = 0 AND g.part = '' OR g.attnum = ANY (k.confkey) OR g.key = k.conindid)
                      AND (g.sets = '[]'
                           OR EXISTS (SELECT FROM pg_attribute a
                                       WHERE a.attrelid = g.oid AND a.attnum = ANY (k.confkey) AND g.sets::jsonb ? a.attname::text))
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, 'policy ' || quote_ident(p.polname) || ' of ' || p.polrelid::regclass
  FROM depends d
  JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid AND (d.attnum > 0 OR p.polrelid <> d.on_relation)
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, 'function ' || p.oid::regprocedure
  FROM depends d
  JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, 'trigger ' || quote_ident(t.tgname)
  FROM depends d
  JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid AND d.attnum > 0 AND NOT t.tgisinternal
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, 'index ' || x.indexrelid::regclass
  FROM depends d
  JOIN pg_index x ON d.classid = 'pg_class'::regclass AND x.indexrelid = d.objid AND d.attnum > 0
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, pg_describe_object(d.classid, d.objid, 0)
  FROM depends d
 WHERE d.classid = 'pg_statistic_ext'::regclass AND d.attnum > 0
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, 'constraint ' || quote_ident(k.conname)
  FROM depends d
  JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND d.attnum > 0 AND k.contype <> 'n'
                      AND k.conrelid = d.on_relation
UNION
SELECT d.on_relation::bigint, d.attnum, d.part, d.sets, 'column ' || quote_ident(a.attname)
  FROM depends d
  JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid AND d.attnum > 0
  JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attnum <> d.attnum
UNION
SELECT g.oid::bigint, g.attnum, g.part, g.sets, 'publication ' || quote_ident(p.pubname)
  FROM given g
  JOIN pg_class c ON c.oid = g.oid AND c.relkind IN ('r', 'p')
  JOIN pg_publication p
    ON g.attnum = 0 AND p.puballtables
    OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = g.oid
                                                  AND (g.attnum = 0 OR g.attnum = ANY (r.prattrs)))
    OR g.attnum = 0 AND EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)
 WHERE g.part = ''
UNION
SELECT g.oid::bigint, g.attnum, g.part, g.sets, count(*) || CASE count(*) WHEN 1 THEN ' child table' ELSE ' child tables' END
  FROM given g
  JOIN pg_inherits i ON i.inhparent = g.oid
  JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p', 'f')
 WHERE g.part = ''
 GROUP BY g.oid, g.attnum, g.part, g.sets
 ORDER BY 1, 2, 3, 4, 5
