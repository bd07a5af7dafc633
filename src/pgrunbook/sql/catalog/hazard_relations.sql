-- Which of these relations, and what belongs to them, are there; how large are they, and how are they stored? Partitions
-- count for their table.
WITH given AS (
    SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[], %(kinds)s::text[], %(parts)s::text[])
                    AS given (nspname, relname, kind, part)
), there AS (
    SELECT DISTINCT g.*, c.*
      FROM given g
      JOIN pg_namespace n ON n.nspname = g.nspname
      JOIN LATERAL (SELECT oid, reltuples, relkind, relpersistence, reltablespace, relam
                      FROM pg_class WHERE relname = g.relname AND relnamespace = n.oid) c ON true
)
SELECT t.nspname AS "schema",
       t.relname AS "name",
       t.kind,
       t.part,
       t.oid::bigint AS oid,
       coalesce(a.attnum, 0)::int AS attnum,
       CASE t.kind WHEN 'column' THEN a.attnum IS NOT NULL
                   WHEN 'constraint' THEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND conname = t.part)
                   WHEN 'trigger' THEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t.oid AND tgname = t.part)
                   WHEN 'policy' THEN EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid AND polname = t.part)
                   WHEN 'rule' THEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = t.oid AND rulename = t.part)
                   ELSE true END AS part_there,
       (SELECT CASE WHEN bool_and(c.reltuples >= 0) THEN sum(c.reltuples) END
          FROM pg_class c WHERE c.oid = t.oid AND t.relkind <> 'p' OR c.oid = ANY (leaves.oids))::bigint AS rows,
       (CASE WHEN t.relkind IN ('i', 'S') THEN pg_relation_size(t.oid) ELSE pg_total_relation_size(t.oid) END
        + coalesce((SELECT sum(pg_total_relation_size(oid)) FROM unnest(leaves.oids) AS leaf (oid)), 0))::bigint AS bytes,
       t.relpersistence::text AS persistence,
       (SELECT amname::text FROM pg_am WHERE oid = t.relam) AS access_method,
       coalesce((SELECT spcname::text FROM pg_tablespace WHERE oid = t.reltablespace),
                (SELECT s.spcname::text FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace
                  WHERE d.datname = current_database())) AS tablespace,
       EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = t.oid AND partdefid <> 0) AS has_default_partition,
       EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND contype = 'c' AND convalidated) AS checked
  FROM there t
  LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND t.part <> '' AND a.attname = t.part AND a.attnum > 0 AND NOT a.attisdropped
 CROSS JOIN LATERAL (SELECT coalesce(array_agg(relid::oid) FILTER (WHERE isleaf), '{}') AS oids
                       FROM pg_partition_tree(t.oid) WHERE t.relkind = 'p') AS leaves
