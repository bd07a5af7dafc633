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
), written AS MATERIALIZED (
    SELECT 'pg_class'::regclass::oid AS classid, oid AS objid, 0::int8 AS objsubid, age({stamp}) AS age
      FROM pg_class WHERE {pg_class}
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, age({stamp}) FROM pg_attribute WHERE {pg_attribute}
    UNION ALL SELECT 'pg_class'::regclass, adrelid, adnum, age({stamp}) FROM pg_attrdef WHERE {pg_attrdef}
    UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0, age({stamp}) FROM pg_index WHERE {pg_index}
    UNION ALL SELECT 'pg_class'::regclass, inhrelid, 0, age({stamp}) FROM pg_inherits WHERE {pg_inherits}
    UNION ALL SELECT 'pg_class'::regclass, partrelid, 0, age({stamp}) FROM pg_partitioned_table WHERE {pg_partitioned_table}
    UNION ALL SELECT 'pg_class'::regclass, ftrelid, 0, age({stamp}) FROM pg_foreign_table WHERE {pg_foreign_table}
    UNION ALL SELECT 'pg_class'::regclass, seqrelid, 0, age({stamp}) FROM pg_sequence WHERE {pg_sequence}
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 0, age({stamp}) FROM pg_constraint WHERE {pg_constraint}
    UNION ALL SELECT 'pg_trigger'::regclass, oid, 0, age({stamp}) FROM pg_trigger WHERE {pg_trigger}
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0, age({stamp}) FROM pg_rewrite WHERE {pg_rewrite}
    UNION ALL SELECT 'pg_policy'::regclass, oid, 0, age({stamp}) FROM pg_policy WHERE {pg_policy}
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 0, age({stamp}) FROM pg_statistic_ext WHERE {pg_statistic_ext}
    UNION ALL SELECT 'pg_type'::regclass, oid, 0, age({stamp}) FROM pg_type WHERE {pg_type}
    UNION ALL SELECT 'pg_type'::regclass, enumtypid, 0, age({stamp}) FROM pg_enum WHERE {pg_enum}
    UNION ALL SELECT 'pg_type'::regclass, rngtypid, 0, age({stamp}) FROM pg_range WHERE {pg_range}
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0, age({stamp}) FROM pg_proc WHERE {pg_proc}
    UNION ALL SELECT 'pg_proc'::regclass, aggfnoid, 0, age({stamp}) FROM pg_aggregate WHERE {pg_aggregate}
    UNION ALL SELECT 'pg_operator'::regclass, oid, 0, age({stamp}) FROM pg_operator WHERE {pg_operator}
    UNION ALL SELECT 'pg_opclass'::regclass, oid, 0, age({stamp}) FROM pg_opclass WHERE {pg_opclass}
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, 0, age({stamp}) FROM pg_opfamily WHERE {pg_opfamily}
    UNION ALL SELECT 'pg_opfamily'::regclass, amopfamily, 0, age({stamp}) FROM pg_amop WHERE {pg_amop}
    UNION ALL SELECT 'pg_opfamily'::regclass, amprocfamily, 0, age({stamp}) FROM pg_amproc WHERE {pg_amproc}
    UNION ALL SELECT 'pg_cast'::regclass, oid, 0, age({stamp}) FROM pg_cast WHERE {pg_cast}
    UNION ALL SELECT 'pg_collation'::regclass, oid, 0, age({stamp}) FROM pg_collation WHERE {pg_collation}
    UNION ALL SELECT 'pg_conversion'::regclass, oid, 0, age({stamp}) FROM pg_conversion WHERE {pg_conversion}
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, 0, age({stamp}) FROM pg_ts_parser WHERE {pg_ts_parser}
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, 0, age({stamp}) FROM pg_ts_template WHERE {pg_ts_template}
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, 0, age({stamp}) FROM pg_ts_dict WHERE {pg_ts_dict}
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, 0, age({stamp}) FROM pg_ts_config WHERE {pg_ts_config}
    UNION ALL SELECT 'pg_ts_config'::regclass, mapcfg, 0, age({stamp}) FROM pg_ts_config_map WHERE {pg_ts_config_map}
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, age({stamp}) FROM pg_namespace WHERE {pg_namespace}
    UNION ALL SELECT 'pg_extension'::regclass, oid, 0, age({stamp}) FROM pg_extension WHERE {pg_extension}
    UNION ALL SELECT 'pg_am'::regclass, oid, 0, age({stamp}) FROM pg_am WHERE {pg_am}
    UNION ALL SELECT 'pg_language'::regclass, oid, 0, age({stamp}) FROM pg_language WHERE {pg_language}
    UNION ALL SELECT 'pg_transform'::regclass, oid, 0, age({stamp}) FROM pg_transform WHERE {pg_transform}
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, age({stamp}) FROM pg_foreign_data_wrapper
               WHERE {pg_foreign_data_wrapper}
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, age({stamp}) FROM pg_foreign_server WHERE {pg_foreign_server}
    UNION ALL SELECT 'pg_user_mapping'::regclass, oid, 0, age({stamp}) FROM pg_user_mapping WHERE {pg_user_mapping}
    UNION ALL SELECT 'pg_publication'::regclass, oid, 0, age({stamp}) FROM pg_publication WHERE {pg_publication}
    UNION ALL SELECT 'pg_publication_rel'::regclass, oid, 0, age({stamp}) FROM pg_publication_rel WHERE {pg_publication_rel}
    UNION ALL SELECT 'pg_publication_namespace'::regclass, oid, 0, age({stamp}) FROM pg_publication_namespace
               WHERE {pg_publication_namespace}
    UNION ALL SELECT 'pg_subscription'::regclass, oid, 0, age({stamp}) FROM pg_subscription WHERE {pg_subscription}
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0, age({stamp}) FROM pg_event_trigger WHERE {pg_event_trigger}
    UNION ALL SELECT 'pg_default_acl'::regclass, oid, 0, age({stamp}) FROM pg_default_acl WHERE {pg_default_acl}
    UNION ALL SELECT classoid, objoid, objsubid, age({stamp}) FROM pg_description WHERE {pg_description}
    UNION ALL SELECT classoid, objoid, objsubid, age({stamp}) FROM pg_seclabel WHERE {pg_seclabel}
    UNION ALL SELECT classoid, objoid, objsubid, age({stamp}) FROM pg_init_privs WHERE {pg_init_privs}
    UNION ALL SELECT 'pg_authid'::regclass, oid, 0, age({stamp}) FROM pg_authid WHERE {pg_authid}
    UNION ALL SELECT 'pg_authid'::regclass, oid, 0, (SELECT oldest FROM bounds) FROM pg_roles WHERE {any_role}
    UNION ALL SELECT 'pg_auth_members'::regclass, roleid, member::int8, age({stamp}) FROM pg_auth_members WHERE {pg_auth_members}
    UNION ALL SELECT 'pg_db_role_setting'::regclass, setdatabase, setrole::int8, age({stamp}) FROM pg_db_role_setting
               WHERE {pg_db_role_setting}
    UNION ALL SELECT 'pg_database'::regclass, oid, 0, age({stamp}) FROM pg_database WHERE {pg_database}
    UNION ALL SELECT 'pg_parameter_acl'::regclass, oid, 0, age({stamp}) FROM pg_parameter_acl WHERE {pg_parameter_acl}
    UNION ALL SELECT classoid, objoid, 0, age({stamp}) FROM pg_shdescription WHERE {pg_shdescription}
    UNION ALL SELECT classoid, objoid, 0, age({stamp}) FROM pg_shseclabel WHERE {pg_shseclabel}
    UNION ALL SELECT classid, objid, objsubid, age({stamp}) FROM pg_depend
               WHERE refclassid = 'pg_extension'::regclass AND {pg_depend}
), ours AS MATERIALIZED ( -- in arrays, as the planner takes them for short, and looks everything up by its index
    SELECT array_agg(w.classid) AS classes, array_agg(w.objid) AS ids, array_agg(w.objsubid) AS numbers
      FROM written w
     WHERE w.age IN (SELECT b.oldest - a.difference
                       FROM bounds b, (SELECT DISTINCT (SELECT oldest FROM bounds) - age AS difference FROM written) AS a
                      WHERE b.xid::text::bigint + a.difference >= b.later
                         OR pg_xact_status((b.xid::text::bigint + a.difference)::text::xid8) = 'in progress')
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
