-- Which of the objects that statements make by these names are there? Without a schema, in any of the path;
-- without a name, any of that kind of the table.
WITH asked AS (
    SELECT a.number, a.kind, a.parent, a.name, n.oid AS namespace
      FROM unnest(%(kinds)s::text[], %(schemas)s::text[], %(parents)s::text[], %(names)s::text[])
           WITH ORDINALITY AS a (kind, schema, parent, name, number)
      LEFT JOIN pg_namespace n
        ON n.nspname = a.schema OR a.schema = '' AND n.nspname = ANY (%(searched)s::text[])
), of_table AS (
    SELECT a.*, c.oid AS relation
      FROM asked a
      JOIN pg_class c ON c.relnamespace = a.namespace AND c.relname = a.parent
     WHERE a.parent <> ''
)
SELECT DISTINCT number - 1 AS number
  FROM (
    SELECT number FROM asked a JOIN pg_class c ON c.relnamespace = a.namespace AND c.relname = a.name
     WHERE kind IN ('table', 'foreign table', 'view', 'materialized view', 'sequence', 'index', 'type', 'domain')
    UNION ALL
    SELECT number FROM asked a JOIN pg_type t ON t.typnamespace = a.namespace AND t.typname = a.name
     WHERE kind IN ('table', 'foreign table', 'view', 'materialized view', 'sequence', 'type', 'domain')
    UNION ALL
    SELECT number FROM asked a JOIN pg_proc p ON p.pronamespace = a.namespace AND p.proname = a.name
     WHERE kind IN ('function', 'procedure', 'aggregate')
    UNION ALL
    SELECT number FROM asked a JOIN pg_collation c ON c.collnamespace = a.namespace AND c.collname = a.name
     WHERE kind = 'collation'
    UNION ALL
    SELECT number FROM asked a JOIN pg_statistic_ext s ON s.stxnamespace = a.namespace AND s.stxname = a.name
     WHERE kind = 'statistics object'
    UNION ALL
    SELECT number FROM of_table a JOIN pg_statistic_ext s ON s.stxrelid = a.relation
     WHERE kind = 'statistics object' AND a.name = ''
    UNION ALL
    SELECT number FROM asked a JOIN pg_ts_config t ON t.cfgnamespace = a.namespace AND t.cfgname = a.name
     WHERE kind = 'text search configuration'
    UNION ALL
    SELECT number FROM asked a JOIN pg_ts_dict t ON t.dictnamespace = a.namespace AND t.dictname = a.name
     WHERE kind = 'text search dictionary'
    UNION ALL
    SELECT number FROM asked a JOIN pg_ts_parser t ON t.prsnamespace = a.namespace AND t.prsname = a.name
     WHERE kind = 'text search parser'
    UNION ALL
    SELECT number FROM asked a JOIN pg_ts_template t ON t.tmplnamespace = a.namespace AND t.tmplname = a.name
     WHERE kind = 'text search template'
    UNION ALL
    SELECT number FROM asked a JOIN pg_operator o ON o.oprnamespace = a.namespace AND o.oprname = a.name
     WHERE kind = 'operator'
    UNION ALL
    SELECT number FROM asked a JOIN pg_opclass c ON c.opcnamespace = a.namespace AND c.opcname = a.name
     WHERE kind = 'operator class'
    UNION ALL
    SELECT number FROM asked a JOIN pg_opfamily f ON f.opfnamespace = a.namespace AND f.opfname = a.name
     WHERE kind = 'operator family'
    UNION ALL
    SELECT number FROM asked a JOIN pg_conversion c ON c.connamespace = a.namespace AND c.conname = a.name
     WHERE kind = 'conversion'
    UNION ALL
    SELECT number FROM of_table a JOIN pg_attribute t ON t.attrelid = a.relation AND t.attname = a.name
     WHERE kind = 'table column' AND NOT t.attisdropped
    UNION ALL
    SELECT number FROM of_table a JOIN pg_constraint c ON c.conrelid = a.relation
     WHERE kind = 'table constraint' AND (c.conname = a.name OR a.name = '' AND c.contype IN ('c', 'f', 'p', 'u', 'x'))
    UNION ALL
    SELECT number FROM of_table a JOIN pg_index i ON i.indrelid = a.relation
     WHERE kind = 'index' AND a.name = ''
    UNION ALL
    SELECT number FROM of_table a JOIN pg_trigger t ON t.tgrelid = a.relation AND t.tgname = a.name
     WHERE kind = 'trigger'
    UNION ALL
    SELECT number FROM of_table a JOIN pg_policy p ON p.polrelid = a.relation AND p.polname = a.name
     WHERE kind = 'policy'
    UNION ALL
    SELECT number FROM of_table a JOIN pg_rewrite r ON r.ev_class = a.relation AND r.rulename = a.name
     WHERE kind = 'rule'
    UNION ALL
    SELECT number
      FROM asked a
      JOIN pg_type t ON t.typnamespace = a.namespace AND t.typname = a.parent
      JOIN pg_constraint c ON c.contypid = t.oid AND (c.conname = a.name OR a.name = '')
     WHERE kind = 'domain constraint'
    UNION ALL
    SELECT number FROM asked a JOIN pg_namespace n ON n.nspname = a.name WHERE kind = 'schema'
    UNION ALL
    SELECT number FROM asked a JOIN pg_extension e ON e.extname = a.name WHERE kind = 'extension'
    UNION ALL
    SELECT number FROM asked a JOIN pg_event_trigger t ON t.evtname = a.name WHERE kind = 'event trigger'
    UNION ALL
    SELECT number FROM asked a JOIN pg_language l ON l.lanname = a.name WHERE kind = 'language'
    UNION ALL
    SELECT number FROM asked a JOIN pg_am m ON m.amname = a.name WHERE kind = 'access method'
    UNION ALL
    SELECT number FROM asked a JOIN pg_publication p ON p.pubname = a.name WHERE kind = 'publication'
    UNION ALL
    SELECT number FROM asked a JOIN pg_foreign_server s ON s.srvname = a.name WHERE kind = 'server'
    UNION ALL
    SELECT number FROM asked a JOIN pg_foreign_data_wrapper w ON w.fdwname = a.name WHERE kind = 'foreign-data wrapper'
  ) AS found
 ORDER BY 1
