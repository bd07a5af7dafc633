-- What have statements outside a transaction left, or found, of these relations: their indexes, each valid or not, and the
-- partitions among them, each attached or about to be detached? How many transactions ago was an index last written? Without
-- a schema, a relation is the first of the path; an index that is to be made lies beside its table.
WITH named AS (
    SELECT DISTINCT c.oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[], %(beside)s::text[]) AS g (schema, name, beside)
     CROSS JOIN LATERAL (
           SELECT CASE WHEN g.beside = '' THEN c.oid
                       ELSE (SELECT i.oid FROM pg_class i
                              WHERE i.relname = g.name AND i.relnamespace = c.relnamespace) END AS oid
             FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relname = coalesce(nullif(g.beside, ''), g.name)
              AND (n.nspname = g.schema OR g.schema = '' AND n.nspname = ANY (%(searched)s::text[]))
            ORDER BY array_position(%(searched)s::text[], n.nspname::text)
            LIMIT 1) AS c
), tables AS (
    SELECT oid FROM named
     UNION
    SELECT x.indrelid FROM named JOIN pg_index x ON x.indexrelid = named.oid
)
SELECT 'index' AS kind, n.nspname::text AS schema, i.relname::text AS name, c.relname::text AS "table",
       format('%%I.%%I', n.nspname, i.relname) AS identity, x.indisvalid AS whole, age(x.xmin) AS age
  FROM tables
  JOIN pg_index x ON x.indrelid = tables.oid
  JOIN pg_class i ON i.oid = x.indexrelid AND i.relkind = 'i'
  JOIN pg_namespace n ON n.oid = i.relnamespace
  JOIN pg_class c ON c.oid = x.indrelid
 UNION ALL
SELECT 'partition', n.nspname::text, c.relname::text, p.relname::text,
       format('%%I.%%I', n.nspname, c.relname), NOT h.inhdetachpending, 0
  FROM tables
  JOIN pg_class c ON c.oid = tables.oid AND c.relispartition
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_inherits h ON h.inhrelid = c.oid
  JOIN pg_class p ON p.oid = h.inhparent
 ORDER BY 1, 2, 3
