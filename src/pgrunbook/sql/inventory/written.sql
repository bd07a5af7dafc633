-- Which objects has a transaction written to the catalogs, or overwritten there, and which depend on those?
-- A row carries the number of the transaction that wrote it, and of the one that deletes or replaces it. The numbers of
-- subtransactions are greater than their transaction's; they are in progress with it. Numbers wrap around, and old rows keep
-- theirs: so there is an end, beyond all that are in progress; what an old row has by chance between is one object too many.
WITH bounds AS MATERIALIZED (
    SELECT xid, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS later, age(xid::xid) AS oldest,
           greatest(age(xid::xid) - greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint - xid::text::bigint, 0)
                    - 16777216, -2147483648)::int AS newest
      FROM (SELECT {xid}) AS asked (xid)
), locked (oids) AS MATERIALIZED ( -- by the session itself, as held.sql has noted, with their TOAST tables
    SELECT array_agg(oid)
      FROM (SELECT unnest(nullif(current_setting('pgrunbook.held', true), '')::oid[]) AS oid
            UNION
            SELECT reltoastrelid FROM pg_class
             WHERE oid = ANY (nullif(current_setting('pgrunbook.held', true), '')::oid[])) AS tables
), near (oids) AS MATERIALIZED ( -- and their indexes
    SELECT array_agg(oid)
      FROM (SELECT unnest(oids) AS oid FROM locked
            UNION
            SELECT indexrelid FROM pg_index WHERE indrelid = ANY ((SELECT oids FROM locked)::oid[])) AS relations
), row_types (oids) AS MATERIALIZED (
    SELECT array_agg(oid)
      FROM (SELECT reltype AS oid FROM pg_class WHERE oid = ANY ((SELECT oids FROM near)::oid[])
            UNION
            SELECT typarray FROM pg_type
             WHERE oid = ANY (ARRAY(SELECT reltype FROM pg_class WHERE oid = ANY ((SELECT oids FROM near)::oid[])))) AS types
), looked_into (catalogs) AS MATERIALIZED (
    {looked_into}
), written AS MATERIALIZED ( -- all parts have the same types, and one condition: so the planner makes one scan of each
    SELECT classid::oid AS classid, objid, objsubid, age
      FROM (
        SELECT 'pg_class'::regclass AS classid, oid AS objid, 0::int8 AS objsubid, {pg_class}
        UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum::int8, {pg_attribute}
        UNION ALL SELECT 'pg_class'::regclass, adrelid, adnum::int8, {pg_attrdef}
        UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0::int8, {pg_index}
        UNION ALL SELECT 'pg_class'::regclass, inhrelid, 0::int8, {pg_inherits}
        UNION ALL SELECT 'pg_class'::regclass, partrelid, 0::int8, {pg_partitioned_table}
        UNION ALL SELECT 'pg_class'::regclass, ftrelid, 0::int8, {pg_foreign_table}
        UNION ALL SELECT 'pg_class'::regclass, seqrelid, 0::int8, {pg_sequence}
        UNION ALL SELECT 'pg_constraint'::regclass, oid, 0::int8, {pg_constraint}
        UNION ALL SELECT 'pg_trigger'::regclass, oid, 0::int8, {pg_trigger}
        UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0::int8, {pg_rewrite}
        UNION ALL SELECT 'pg_policy'::regclass, oid, 0::int8, {pg_policy}
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 0::int8, {pg_statistic_ext}
        UNION ALL SELECT 'pg_type'::regclass, oid, 0::int8, {pg_type}
        UNION ALL SELECT 'pg_type'::regclass, enumtypid, 0::int8, {pg_enum}
        UNION ALL SELECT 'pg_type'::regclass, rngtypid, 0::int8, {pg_range}
        UNION ALL SELECT 'pg_proc'::regclass, oid, 0::int8, {pg_proc}
        UNION ALL SELECT 'pg_proc'::regclass, aggfnoid, 0::int8, {pg_aggregate}
        UNION ALL SELECT 'pg_operator'::regclass, oid, 0::int8, {pg_operator}
        UNION ALL SELECT 'pg_opclass'::regclass, oid, 0::int8, {pg_opclass}
        UNION ALL SELECT 'pg_opfamily'::regclass, oid, 0::int8, {pg_opfamily}
        UNION ALL SELECT 'pg_opfamily'::regclass, amopfamily, 0::int8, {pg_amop}
        UNION ALL SELECT 'pg_opfamily'::regclass, amprocfamily, 0::int8, {pg_amproc}
        UNION ALL SELECT 'pg_cast'::regclass, oid, 0::int8, {pg_cast}
        UNION ALL SELECT 'pg_collation'::regclass, oid, 0::int8, {pg_collation}
        UNION ALL SELECT 'pg_conversion'::regclass, oid, 0::int8, {pg_conversion}
        UNION ALL SELECT 'pg_ts_parser'::regclass, oid, 0::int8, {pg_ts_parser}
        UNION ALL SELECT 'pg_ts_template'::regclass, oid, 0::int8, {pg_ts_template}
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, 0::int8, {pg_ts_dict}
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, 0::int8, {pg_ts_config}
        UNION ALL SELECT 'pg_ts_config'::regclass, mapcfg, 0::int8, {pg_ts_config_map}
        UNION ALL SELECT 'pg_namespace'::regclass, oid, 0::int8, {pg_namespace}
        UNION ALL SELECT 'pg_extension'::regclass, oid, 0::int8, {pg_extension}
        UNION ALL SELECT 'pg_am'::regclass, oid, 0::int8, {pg_am}
        UNION ALL SELECT 'pg_language'::regclass, oid, 0::int8, {pg_language}
        UNION ALL SELECT 'pg_transform'::regclass, oid, 0::int8, {pg_transform}
        UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0::int8, {pg_foreign_data_wrapper}
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0::int8, {pg_foreign_server}
        UNION ALL SELECT 'pg_user_mapping'::regclass, oid, 0::int8, {pg_user_mapping}
        UNION ALL SELECT 'pg_publication'::regclass, oid, 0::int8, {pg_publication}
        UNION ALL SELECT 'pg_publication_rel'::regclass, oid, 0::int8, {pg_publication_rel}
        UNION ALL SELECT 'pg_publication_namespace'::regclass, oid, 0::int8, {pg_publication_namespace}
        UNION ALL SELECT 'pg_subscription'::regclass, oid, 0::int8, {pg_subscription}
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0::int8, {pg_event_trigger}
        UNION ALL SELECT 'pg_default_acl'::regclass, oid, 0::int8, {pg_default_acl}
        UNION ALL SELECT classoid::regclass, objoid, objsubid::int8, {pg_description}
        UNION ALL SELECT classoid::regclass, objoid, objsubid::int8, {pg_seclabel}
        UNION ALL SELECT classoid::regclass, objoid, objsubid::int8, {pg_init_privs}
        UNION ALL SELECT 'pg_authid'::regclass, oid, 0::int8, {pg_authid}
        UNION ALL SELECT 'pg_authid'::regclass, oid, 0::int8, (SELECT oldest FROM bounds), 'pg_authid'::regclass FROM pg_roles WHERE {any_role}
        UNION ALL SELECT 'pg_auth_members'::regclass, roleid, member::int8, {pg_auth_members}
        UNION ALL SELECT 'pg_db_role_setting'::regclass, setdatabase, setrole::int8, {pg_db_role_setting}
        UNION ALL SELECT 'pg_database'::regclass, oid, 0::int8, {pg_database}
        UNION ALL SELECT 'pg_parameter_acl'::regclass, oid, 0::int8, {pg_parameter_acl}
        UNION ALL SELECT classoid::regclass, objoid, 0::int8, {pg_shdescription}
        UNION ALL SELECT classoid::regclass, objoid, 0::int8, {pg_shseclabel}
        UNION ALL SELECT classid::regclass, objid, objsubid::int8, {pg_depend} AND refclassid = 'pg_extension'::regclass
     ) AS rows (classid, objid, objsubid, age, catalog)
     WHERE catalog = ANY ((SELECT catalogs FROM looked_into)::regclass[])
       AND age BETWEEN (SELECT newest FROM bounds) AND (SELECT oldest FROM bounds)
), ours AS MATERIALIZED ( -- in arrays, as the planner takes them for short, and looks everything up by its index
    SELECT array_agg(classid) AS classes, array_agg(objid) AS ids, array_agg(objsubid) AS numbers
      FROM (SELECT w.*, bool_or(objsubid = 0) OVER (PARTITION BY classid, objid) AS whole
              FROM written w
             WHERE w.age IN (
                    SELECT b.oldest - a.difference
                      FROM bounds b, (SELECT DISTINCT (SELECT oldest FROM bounds) - age AS difference FROM written) AS a
                     WHERE b.xid::text::bigint + a.difference >= b.later
                        OR pg_xact_status((b.xid::text::bigint + a.difference)::text::xid8) = 'in progress')) AS parts
     WHERE objsubid = 0 OR NOT whole OR classid <> 'pg_class'::regclass -- with a relation go all its columns
), direct AS MATERIALIZED (
    SELECT DISTINCT o.classid, o.objid, o.objsubid FROM ours, unnest(classes, ids, numbers) AS o (classid, objid, objsubid)
), concerned AS (
    SELECT classid, objid, objsubid FROM direct
    UNION -- what depends on a schema or an extension prints nothing of it but in its name
    SELECT d.classid, d.objid, d.objsubid
      FROM direct o
      JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
                      AND (o.objsubid = 0 OR d.refobjsubid = o.objsubid)
     WHERE o.classid NOT IN ('pg_namespace'::regclass, 'pg_extension'::regclass)
)
SELECT DISTINCT m.classid, m.objid, m.objsubid
  FROM concerned o
 CROSS JOIN LATERAL ( -- what shows it: a column its default, a constraint its index, a view its rule
    SELECT o.classid, o.objid, o.objsubid
    UNION ALL
    SELECT o.classid, o.objid, 0 WHERE o.objsubid <> 0
    UNION ALL
    SELECT o.classid, a.attrelid, a.attnum FROM pg_attribute a
     WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND a.attrelid = o.objid AND a.attnum > 0
    UNION ALL
    SELECT 'pg_class'::regclass, d.adrelid, d.adnum FROM pg_attrdef d
     WHERE o.classid = 'pg_attrdef'::regclass AND d.oid = o.objid
    UNION ALL
    SELECT 'pg_type'::regclass, c.reltype, 0 FROM pg_class c
     WHERE o.classid = 'pg_class'::regclass AND c.oid = o.objid AND c.relkind = 'c'
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, 0 FROM pg_index x JOIN pg_constraint k ON k.conrelid = x.indrelid
     WHERE o.classid = 'pg_class'::regclass AND x.indexrelid = o.objid AND k.conindid = o.objid
    UNION ALL
    SELECT d.refclassid, d.refobjid, 0 FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 't'
     WHERE o.classid = 'pg_class'::regclass AND d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'i'
    UNION ALL
    SELECT 'pg_class'::regclass, t.typrelid, 0 FROM pg_type t
     WHERE o.classid = 'pg_type'::regclass AND t.oid = o.objid AND t.typrelid <> 0
    UNION ALL
    SELECT 'pg_type'::regclass, t.typelem, 0 FROM pg_type t
     WHERE o.classid = 'pg_type'::regclass AND t.oid = o.objid AND t.typelem <> 0
    UNION ALL
    SELECT 'pg_type'::regclass, r.rngtypid, 0 FROM pg_range r
     WHERE o.classid = 'pg_type'::regclass AND r.rngmultitypid = o.objid
    UNION ALL
    SELECT CASE WHEN k.conrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END,
           CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END, coalesce(k.conkey[1], 0) FROM pg_constraint k
     WHERE o.classid = 'pg_constraint'::regclass AND k.oid = o.objid AND k.contype = 'n'
    UNION ALL
    SELECT 'pg_class'::regclass, r.ev_class, 0 FROM pg_rewrite r
     WHERE o.classid = 'pg_rewrite'::regclass AND r.oid = o.objid AND r.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_opfamily'::regclass, a.amopfamily, 0 FROM pg_amop a
     WHERE o.classid = 'pg_amop'::regclass AND a.oid = o.objid
    UNION ALL
    SELECT 'pg_opfamily'::regclass, a.amprocfamily, 0 FROM pg_amproc a
     WHERE o.classid = 'pg_amproc'::regclass AND a.oid = o.objid
 ) AS m (classid, objid, objsubid)
 WHERE m.objsubid >= 0 -- a system column is none, nor is a default
   AND m.classid NOT IN ('pg_attrdef'::regclass, 'pg_amop'::regclass, 'pg_amproc'::regclass)
   AND CASE m.classid WHEN 'pg_type'::regclass THEN ( -- nor is the type of a table's rows, nor an array's
       SELECT coalesce(c.relkind, 'c') = 'c' AND e.oid IS NULL
         FROM pg_type t
         LEFT JOIN pg_class c ON c.oid = t.typrelid
         LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
        WHERE t.oid = m.objid) IS NOT FALSE ELSE true END
 ORDER BY 1, 2, 3
