-- What keeps this column's type from being altered, here or in a table that inherits it?
-- printed for the schema
WITH RECURSIVE family (oid) AS (
    SELECT %(relation)s::oid
     UNION
    SELECT i.inhrelid FROM family JOIN pg_inherits i ON i.inhparent = family.oid
), col AS (
    SELECT a.attrelid, a.attnum, a.attinhcount
      FROM family JOIN pg_attribute a ON a.attrelid = family.oid AND a.attname = %(column)s
)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS dependent
  FROM col
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = col.attrelid AND d.refobjsubid = col.attnum
  LEFT JOIN pg_attrdef g ON d.classid = 'pg_attrdef'::regclass AND g.oid = d.objid
 WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
                     'pg_publication_rel'::regclass)
    OR g.adnum <> col.attnum -- another column's expression: it is generated
 UNION ALL
SELECT 'the partition key of ' || p.partrelid::regclass
  FROM col JOIN pg_partitioned_table p ON p.partrelid = col.attrelid
 WHERE EXISTS (SELECT FROM pg_depend d -- the columns of the key depend on the table, not the table on them
                WHERE d.classid = 'pg_class'::regclass AND d.objid = col.attrelid AND d.objsubid = col.attnum
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.partrelid AND d.refobjsubid = 0
                  AND d.deptype = 'i')
 UNION ALL
SELECT 'the parent table ' || i.inhparent::regclass
  FROM col JOIN pg_inherits i ON i.inhrelid = col.attrelid
 WHERE col.attrelid = %(relation)s::oid AND col.attinhcount > 0
 UNION ALL
SELECT 'the type ' || c.reloftype::regtype || ' that the table is made of'
  FROM pg_class c WHERE c.oid = %(relation)s::oid AND c.reloftype <> 0
 ORDER BY 1
