-- Which of these objects, where they are dropped with all that depends on them, take a table along, or a column of one that
-- stays? And which tables that stay are locked for it, as a key, a trigger, a policy, a default … of theirs goes along? What is
-- internal to another object takes that along. In place of a schema, `*` is any.
-- `along` is what goes by CASCADE alone: what depends on something as on no part of it, see src/backend/catalog/dependency.c.
-- printed for the schema
WITH RECURSIVE given AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[], %(parts)s::text[])
                    AS given (kind, nspname, name, part)
), there AS (
    SELECT g.*, c.oid AS classid, o.oid AS objid, 0 AS objsubid
      FROM given g
      JOIN pg_namespace n ON g.nspname IN (n.nspname, '*')
     CROSS JOIN LATERAL (SELECT 'pg_type', oid FROM pg_type
                          WHERE typnamespace = n.oid AND typname = g.name AND g.kind IN ('type', 'domain')
                          UNION ALL
                         SELECT 'pg_proc', oid FROM pg_proc
                          WHERE pronamespace = n.oid AND proname = g.name AND g.kind IN ('function', 'procedure', 'aggregate', 'routine')
                          UNION ALL
                         SELECT 'pg_class', oid FROM pg_class
                          WHERE relnamespace = n.oid AND relname = g.name AND g.kind IN ('view', 'materialized view', 'sequence', 'index', 'table', 'foreign table')
                          UNION ALL
                         SELECT 'pg_collation', oid FROM pg_collation
                          WHERE collnamespace = n.oid AND collname = g.name AND g.kind = 'collation'
                          UNION ALL
                         SELECT 'pg_operator', oid FROM pg_operator
                          WHERE oprnamespace = n.oid AND oprname = g.name AND g.kind = 'operator'
                          UNION ALL
                         SELECT 'pg_opclass', oid FROM pg_opclass
                          WHERE opcnamespace = n.oid AND opcname = g.name AND g.kind = 'operator class'
                          UNION ALL
                         SELECT 'pg_opfamily', oid FROM pg_opfamily
                          WHERE opfnamespace = n.oid AND opfname = g.name AND g.kind = 'operator family'
                          UNION ALL
                         SELECT 'pg_ts_config', oid FROM pg_ts_config
                          WHERE cfgnamespace = n.oid AND cfgname = g.name AND g.kind = 'text search configuration'
                          UNION ALL
                         SELECT 'pg_ts_dict', oid FROM pg_ts_dict
                          WHERE dictnamespace = n.oid AND dictname = g.name AND g.kind = 'text search dictionary'
                          UNION ALL
                         SELECT 'pg_ts_template', oid FROM pg_ts_template
                          WHERE tmplnamespace = n.oid AND tmplname = g.name AND g.kind = 'text search template'
                          UNION ALL
                         SELECT 'pg_ts_parser', oid FROM pg_ts_parser
                          WHERE prsnamespace = n.oid AND prsname = g.name AND g.kind = 'text search parser') AS o (catalog, oid)
      JOIN pg_class c ON c.relname = o.catalog AND c.relnamespace = 'pg_catalog'::regnamespace
     UNION ALL
    SELECT g.*, o.*
      FROM given g
      JOIN pg_namespace n ON g.nspname IN (n.nspname, '*')
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = g.name
     CROSS JOIN LATERAL (SELECT 'pg_class'::regclass, attrelid, attnum::int FROM pg_attribute
                          WHERE attname = g.part
                            AND (g.kind = 'column'
                                 AND attrelid IN (WITH RECURSIVE child AS (SELECT c.oid
                                                                            UNION
                                                                           SELECT inhrelid FROM pg_inherits JOIN child ON inhparent = child.oid)
                                                  SELECT oid FROM child)
                                 OR g.kind = 'attribute'
                                AND (attrelid = c.oid OR attrelid IN (SELECT oid FROM pg_class WHERE reloftype = c.reltype)))
                          UNION ALL
                         SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint
                          WHERE conrelid = c.oid AND conname = g.part AND g.kind = 'constraint') AS o
     UNION ALL
    SELECT g.*, c.oid, o.oid, 0
      FROM given g
     CROSS JOIN LATERAL (SELECT 'pg_namespace', oid FROM pg_namespace WHERE nspname = g.name AND g.kind = 'schema'
                          UNION ALL
                         SELECT 'pg_extension', oid FROM pg_extension WHERE extname = g.name AND g.kind = 'extension'
                          UNION ALL
                         SELECT 'pg_language', oid FROM pg_language WHERE lanname = g.name AND g.kind = 'language'
                          UNION ALL
                         SELECT 'pg_am', oid FROM pg_am WHERE amname = g.name AND g.kind = 'access method'
                          UNION ALL
                         SELECT 'pg_foreign_server', oid FROM pg_foreign_server WHERE srvname = g.name AND g.kind = 'server'
                          UNION ALL
                         SELECT 'pg_foreign_data_wrapper', oid FROM pg_foreign_data_wrapper
                          WHERE fdwname = g.name AND g.kind = 'foreign-data wrapper') AS o (catalog, oid)
      JOIN pg_class c ON c.relname = o.catalog AND c.relnamespace = 'pg_catalog'::regnamespace
     UNION ALL
    SELECT g.*, d.classid, d.objid, 0
      FROM given g
      JOIN pg_roles r ON r.rolname = CASE g.name WHEN 'current_user' THEN current_user ELSE g.name END
      JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
                        AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
     WHERE g.kind = 'all that is owned by'
), taken AS (
    SELECT kind, nspname, name, part, classid, objid, objsubid FROM there
     UNION
    SELECT t.kind, t.nspname, t.name, t.part, n.*
      FROM taken t
     CROSS JOIN LATERAL (SELECT d.classid, d.objid, d.objsubid
                           FROM pg_depend d
                          WHERE d.refclassid = t.classid AND d.refobjid = t.objid AND t.objsubid IN (0, d.refobjsubid)
                          UNION ALL
                         SELECT d.refclassid, d.refobjid, d.refobjsubid
                           FROM pg_depend d
                          WHERE d.classid = t.classid AND d.objid = t.objid AND d.objsubid = t.objsubid AND d.deptype = 'i') AS n
), edge AS (
    SELECT t.kind, t.nspname, t.name, t.part, d.classid, d.objid, d.objsubid, d.deptype
      FROM taken t
      JOIN pg_depend d ON d.refclassid = t.classid AND d.refobjid = t.objid AND t.objsubid IN (0, d.refobjsubid)
), along AS (
    SELECT e.kind, e.nspname, e.name, e.part, COALESCE(o.refclassid, e.classid) AS classid, COALESCE(o.refobjid, e.objid) AS objid,
           COALESCE(o.refobjsubid, e.objsubid) AS objsubid
      FROM edge e
      LEFT JOIN pg_depend o ON o.classid = e.classid AND o.objid = e.objid AND o.objsubid = e.objsubid AND o.deptype = 'i'
     WHERE e.deptype = 'n'
    EXCEPT
    SELECT kind, nspname, name, part, classid, objid, objsubid FROM edge WHERE deptype <> 'n'
    EXCEPT
    SELECT kind, nspname, name, part, classid, objid, objsubid FROM there
     UNION
    SELECT t.kind, t.nspname, t.name, t.part, t.classid, t.objid, t.objsubid
      FROM there t
      JOIN pg_class c ON c.oid = t.objid AND c.reloftype <> 0
     WHERE t.kind = 'attribute'
), named AS (
    SELECT a.kind, a.nspname, a.name, a.part, pg_describe_object(a.classid, a.objid, a.objsubid) AS object,
           CASE WHEN c.oid IS NULL THEN 'other' WHEN a.objsubid > 0 THEN 'column' ELSE 'table' END AS what
      FROM along a
      LEFT JOIN pg_class c ON a.classid = 'pg_class'::regclass AND c.oid = a.objid AND c.relkind IN ('r', 'p', 'f')
     WHERE (a.objsubid = 0
            OR NOT EXISTS (SELECT FROM taken w
                            WHERE w.kind = a.kind AND w.nspname = a.nspname AND w.name = a.name AND w.part = a.part
                              AND w.classid = a.classid AND w.objid = a.objid AND w.objsubid = 0))
       -- of a table that is dropped, too
       AND NOT EXISTS (SELECT FROM edge w
                        WHERE w.kind = 'table' AND w.part = '' AND w.deptype <> 'n'
                          AND w.classid = a.classid AND w.objid = a.objid AND w.objsubid = a.objsubid)
), locked AS (
    SELECT DISTINCT t.kind, t.nspname, t.name, t.part, c.oid::regclass::text AS relation
      FROM taken t
     CROSS JOIN LATERAL (SELECT tgrelid FROM pg_trigger WHERE t.classid = 'pg_trigger'::regclass AND oid = t.objid
                          UNION ALL
                         SELECT conrelid FROM pg_constraint WHERE t.classid = 'pg_constraint'::regclass AND oid = t.objid
                          UNION ALL
                         SELECT polrelid FROM pg_policy WHERE t.classid = 'pg_policy'::regclass AND oid = t.objid
                          UNION ALL
                         SELECT ev_class FROM pg_rewrite WHERE t.classid = 'pg_rewrite'::regclass AND oid = t.objid
                          UNION ALL
                         SELECT adrelid FROM pg_attrdef WHERE t.classid = 'pg_attrdef'::regclass AND oid = t.objid
                          UNION ALL
                         SELECT indrelid FROM pg_index WHERE t.classid = 'pg_class'::regclass AND indexrelid = t.objid
                          UNION ALL
                         SELECT inhparent FROM pg_inherits WHERE t.classid = 'pg_class'::regclass AND inhrelid = t.objid AND t.objsubid = 0
                          UNION ALL
                         SELECT t.objid WHERE t.classid = 'pg_class'::regclass AND t.objsubid > 0) AS of (relation)
      JOIN pg_class c ON c.oid = of.relation AND c.relkind IN ('r', 'p', 'f')
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT (t.kind IN ('column', 'constraint') AND c.relname = t.name AND t.nspname IN (n.nspname, '*'))
       AND NOT EXISTS (SELECT FROM taken w
                        WHERE w.kind = t.kind AND w.nspname = t.nspname AND w.name = t.name AND w.part = t.part
                          AND w.classid = 'pg_class'::regclass AND w.objid = c.oid AND w.objsubid = 0)
)
SELECT t.kind, t.nspname AS "schema", t.name, t.part,
       bool_or(c.oid IS NOT NULL AND t.objsubid = 0) AS "table",
       bool_or(c.oid IS NOT NULL AND t.objsubid > 0
               AND NOT EXISTS (SELECT FROM taken w
                                WHERE w.kind = t.kind AND w.nspname = t.nspname AND w.name = t.name
                                  AND w.classid = t.classid AND w.objid = t.objid AND w.objsubid = 0)) AS "column",
       ARRAY(SELECT 'table ' || l.relation
               FROM locked l
              WHERE l.kind = t.kind AND l.nspname = t.nspname AND l.name = t.name AND l.part = t.part
              ORDER BY 1) AS locked,
       ARRAY(SELECT n.what || ' ' || n.object
               FROM named n
              WHERE n.kind = t.kind AND n.nspname = t.nspname AND n.name = t.name AND n.part = t.part
              ORDER BY 1) AS along
  FROM taken t
  LEFT JOIN pg_class c ON t.classid = 'pg_class'::regclass AND c.oid = t.objid AND c.relkind IN ('r', 'p', 'f')
 GROUP BY t.kind, t.nspname, t.name, t.part
