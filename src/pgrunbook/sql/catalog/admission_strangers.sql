-- Which functions that no trusted role vouches for may be called where a value is tried on this column of the relation?
-- Nothing of this is evaluated to find out: followed is what the CHECKs, defaults, domains and partition keys depend on, and
-- of a table that is read for the value (a lookup table) what its policies and indexes depend on. A function is its owner's
-- word, whatever it calls. A CHECK, domain or operator of a role that is not trusted may as well call those functions of the
-- server that run SQL given as text, or reach outside of the transaction.
WITH RECURSIVE trusted AS (
-- as trusted.sql says
), family (oid) AS (
    SELECT %(relation)s::oid
     UNION
    SELECT relid FROM pg_partition_tree(%(relation)s::oid::regclass) AS tree (relid)
     UNION
    SELECT relid FROM pg_partition_ancestors(%(relation)s::oid::regclass) AS tree (relid)
     UNION
    SELECT i.inhrelid FROM family JOIN pg_inherits i ON i.inhparent = family.oid WHERE %(read)s
), tried AS ( -- CHECKs, with the names of the columns that they read: none, if it is a whole row
    SELECT k.oid, k.conrelid, k.conbin, k.whole,
           ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS columns
      FROM family
     CROSS JOIN LATERAL (SELECT oid, conrelid, conbin, conkey, 0 = ANY (conkey) AS whole FROM pg_constraint
                          WHERE conrelid = family.oid AND contype = 'c' OFFSET 0) AS k -- table by table, by the index
), concerned AS MATERIALIZED (
    SELECT * FROM tried WHERE whole OR %(column)s = ANY (columns) OR %(read)s
), defaults AS (
    SELECT d.oid, d.adrelid, d.adbin
      FROM pg_attrdef d
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE d.adrelid = %(relation)s::oid AND a.attgenerated = ''
       AND (%(default)s AND a.attname = %(column)s
            OR EXISTS (SELECT FROM concerned WHERE whole OR a.attname = ANY (columns)))
), roots (class, oid, relation, tree) AS (
    SELECT 'pg_constraint'::regclass, oid, conrelid, conbin::text FROM concerned
     UNION ALL
    SELECT 'pg_attrdef'::regclass, oid, adrelid, adbin::text FROM defaults
     UNION ALL
    SELECT 'pg_class'::regclass, p.partrelid, p.partrelid, p.partexprs::text
      FROM family JOIN pg_partitioned_table p ON p.partrelid = family.oid
     UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, p.polrelid, p.polqual::text
      FROM pg_policy p
     WHERE p.polrelid = %(relation)s::oid AND %(read)s AND row_security_active(p.polrelid)
     UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, i.indrelid, concat(i.indexprs::text, i.indpred::text)
      FROM family JOIN pg_index i ON i.indrelid = family.oid
     WHERE %(read)s AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
     UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, s.stxrelid, s.stxexprs::text
      FROM family JOIN pg_statistic_ext s ON s.stxrelid = family.oid
     WHERE %(read)s AND s.stxexprs IS NOT NULL
), reached (class, oid, maker, root_class, root, direct) AS (
    SELECT r.class::oid, r.oid, c.relowner, r.class::oid, r.oid, true
      FROM roots r JOIN pg_class c ON c.oid = r.relation
     UNION
    -- what pg_depend leaves out, because it cannot be dropped
    SELECT 'pg_proc'::regclass::oid, called[1]::oid, c.relowner, r.class::oid, r.oid, false
      FROM roots r
      JOIN pg_class c ON c.oid = r.relation
     CROSS JOIN regexp_matches(r.tree, ':(?:op)?funcid ([1-9]\d*)', 'g') AS m (called)
     UNION
    SELECT 'pg_type'::regclass::oid, a.atttypid, c.relowner, 'pg_type'::regclass::oid, a.atttypid, false
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.oid = %(relation)s::oid
       AND (a.attname = %(column)s OR EXISTS (SELECT FROM concerned WHERE whole)) -- a whole row is made, and its domains tried
     UNION
    SELECT step.class, step.oid, step.maker, CASE step.class WHEN 'pg_constraint'::regclass THEN step.class ELSE root_class END,
           CASE step.class WHEN 'pg_constraint'::regclass THEN step.oid ELSE root END, step.direct
      FROM reached
     CROSS JOIN LATERAL (
        SELECT d.refclassid AS class, d.refobjid AS oid, reached.maker, reached.direct
          FROM pg_depend d
         WHERE d.classid = reached.class AND d.objid = reached.oid AND d.objsubid = 0
           AND reached.class NOT IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)
           AND d.refclassid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)
         UNION ALL
        SELECT 'pg_proc'::regclass, o.oprcode, o.oprowner, false
          FROM pg_operator o
         WHERE reached.class = 'pg_operator'::regclass AND o.oid = reached.oid
         UNION ALL -- names are looked up anew in what is tried, with arguments of base types: another may be the better match
        SELECT 'pg_proc'::regclass, other.oid, reached.maker, false
          FROM pg_proc p
          JOIN pg_proc other ON other.proname = p.proname AND other.oid <> p.oid
          JOIN pg_namespace n ON n.oid = other.pronamespace
         WHERE reached.class = 'pg_proc'::regclass AND p.oid = reached.oid AND reached.direct
           AND (n.oid = p.pronamespace OR n.nspname = %(path)s)
         UNION ALL
        SELECT 'pg_operator'::regclass, other.oid, reached.maker, false
          FROM pg_operator o
          JOIN pg_operator other ON other.oprname = o.oprname AND other.oid <> o.oid
          JOIN pg_namespace n ON n.oid = other.oprnamespace
         WHERE reached.class = 'pg_operator'::regclass AND o.oid = reached.oid AND reached.direct
           AND (n.oid = o.oprnamespace OR n.nspname = %(path)s)
         UNION ALL
        SELECT 'pg_type'::regclass, part.oid, reached.maker, false
          FROM pg_type t
         CROSS JOIN LATERAL (
            SELECT t.typbasetype WHERE t.typbasetype <> 0
             UNION ALL
            SELECT t.typelem WHERE t.typelem <> 0
             UNION ALL
            SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
             UNION ALL
            SELECT a.atttypid FROM pg_attribute a
             WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped) AS part (oid)
         WHERE reached.class = 'pg_type'::regclass AND t.oid = reached.oid
         UNION ALL
        SELECT 'pg_constraint'::regclass, k.oid, t.typowner, true
          FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid
         WHERE reached.class = 'pg_type'::regclass AND k.contypid = reached.oid AND k.contype = 'c'
         UNION ALL
        SELECT 'pg_proc'::regclass, called[1]::oid, reached.maker, false
          FROM pg_constraint k
         CROSS JOIN regexp_matches(k.conbin::text, ':(?:op)?funcid ([1-9]\d*)', 'g') AS m (called)
         WHERE reached.class = 'pg_constraint'::regclass AND k.oid = reached.oid AND k.contypid <> 0
         UNION ALL
        SELECT 'pg_proc'::regclass, c.castfunc, t.typowner, false
          FROM pg_cast c JOIN pg_type t ON t.oid = c.castsource
         WHERE reached.class = 'pg_type'::regclass AND c.castsource = reached.oid AND c.casttarget = 'text'::regtype
           AND c.castfunc <> 0) AS step (class, oid, maker, direct)
)
SELECT DISTINCT found.type || ' ' || found.identity AS expression,
       p.oid::regprocedure::text AS function,
       pg_get_userbyid(p.proowner)::text AS owner,
       pg_get_userbyid(reached.maker)::text AS maker,
       p.proowner IN (SELECT oid FROM trusted) AS vouched
  FROM reached
 CROSS JOIN LATERAL (SELECT * FROM pg_proc WHERE oid = reached.oid OFFSET 0) AS p -- and not all of pg_proc
 CROSS JOIN LATERAL pg_identify_object(reached.root_class, reached.root, 0) AS found
 WHERE reached.class = 'pg_proc'::regclass
   AND (p.proowner NOT IN (SELECT oid FROM trusted)
        OR reached.maker NOT IN (SELECT oid FROM trusted)
           AND p.prolang IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c'))
           AND (p.proname ~ '_to_xml|^pg_input_|^dblink|^xpath_table'
                OR p.provolatile = 'v'
                   AND p.proname !~ '^(random|gen_random_|gen_salt|uuid|clock_timestamp|timeofday|nextval|currval|lastval)'))
 ORDER BY 1, 2
