-- Which of these objects, where they are dropped with all that depends on them, take a table along, or a column of one that
-- stays? What is internal to another object takes that along. In place of a schema, `*` is any.
WITH RECURSIVE given AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[], %(parts)s::text[])
                    AS given (kind, nspname, name, part)
), there AS (
    SELECT g.*, c.oid AS classid, o.oid AS objid
      FROM given g
      JOIN pg_namespace n ON g.nspname IN (n.nspname, '*')
     CROSS JOIN LATERAL (SELECT 'pg_type', oid FROM pg_type
                          WHERE typnamespace = n.oid AND typname = g.name AND g.kind IN ('type', 'domain')
                          UNION ALL
                         SELECT 'pg_proc', oid FROM pg_proc
                          WHERE pronamespace = n.oid AND proname = g.name AND g.kind IN ('function', 'procedure', 'aggregate', 'routine')
                          UNION ALL
                         SELECT 'pg_class', oid FROM pg_class
                          WHERE relnamespace = n.oid AND relname = g.name AND g.kind IN ('view', 'materialized view', 'sequence', 'index')
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
    SELECT g.*, c.oid, o.oid
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
    SELECT g.*, d.classid, d.objid
      FROM given g
      JOIN pg_roles r ON r.rolname = CASE g.name WHEN 'current_user' THEN current_user ELSE g.name END
      JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
                        AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
     WHERE g.kind = 'all that is owned by'
), taken AS (
    SELECT kind, nspname, name, part, classid, objid, 0 AS objsubid FROM there
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
)
SELECT t.kind, t.nspname AS "schema", t.name, t.part,
       bool_or(t.objsubid = 0) AS "table",
       bool_or(t.objsubid > 0 AND NOT EXISTS (SELECT FROM taken w
                                               WHERE w.kind = t.kind AND w.nspname = t.nspname AND w.name = t.name
                                                 AND w.classid = t.classid AND w.objid = t.objid AND w.objsubid = 0)) AS "column"
  FROM taken t
  JOIN pg_class c ON t.classid = 'pg_class'::regclass AND c.oid = t.objid AND c.relkind IN ('r', 'p', 'f')
 GROUP BY t.kind, t.nspname, t.name, t.part
