-- Which of these relations, and what belongs to them, are there; how large are they, how are they stored, may a column be NULL,
-- which unique indexes have one that may, and which events fire a rule or a trigger of theirs? `select`: it is a view that calls a volatile function. Partitions count for their table.
-- In place of a schema, `*` is any but the server's and the ledger's: one relation of that name stands for all.
WITH given AS (
    SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[], %(kinds)s::text[], %(parts)s::text[])
                    AS given (nspname, relname, kind, part)
), placed AS (
    SELECT DISTINCT g.*, n.oid AS relnamespace, n.nspname AS found_in, 1 AS namesakes
      FROM given g
      JOIN pg_namespace n ON n.nspname = g.nspname
     UNION ALL
    SELECT g.*, (array_agg(n.oid ORDER BY n.nspname))[1], (array_agg(n.nspname ORDER BY n.nspname))[1], count(*)
      FROM (SELECT DISTINCT * FROM given WHERE nspname = '*') g
      JOIN pg_class c ON c.relname = g.relname
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname <> ALL ('{information_schema,pgrunbook}') AND n.nspname NOT LIKE 'pg\_%%'
     GROUP BY g.nspname, g.relname, g.kind, g.part
), there AS (
    SELECT p.*, c.*
      FROM placed p
      JOIN LATERAL (SELECT oid, reltuples, relkind, relpersistence, reltablespace, relam
                      FROM pg_class WHERE relname = p.relname AND relnamespace = p.relnamespace) c ON true
)
SELECT t.nspname AS place,
       t.found_in::text AS "schema",
       t.relname AS "name",
       t.kind,
       t.part,
       t.namesakes,
       t.oid::bigint AS oid,
       coalesce(a.attnum, 0)::int AS attnum,
       CASE t.kind WHEN 'column' THEN a.attnum IS NOT NULL
                   WHEN 'constraint' THEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND conname = t.part)
                   WHEN 'trigger' THEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t.oid AND tgname = t.part)
                   WHEN 'policy' THEN EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid AND polname = t.part)
                   WHEN 'rule' THEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = t.oid AND rulename = t.part)
                   ELSE true END AS part_there,
       (SELECT CASE WHEN bool_and(known >= 0) THEN sum(known) END -- of a foreign table nobody knows
          FROM pg_class c
         CROSS JOIN LATERAL (SELECT CASE WHEN c.relkind <> 'f' AND pg_relation_size(c.oid) = 0 THEN 0 ELSE c.reltuples END) AS k (known)
         WHERE c.oid = t.oid AND t.relkind <> 'p' OR c.oid = ANY (leaves.oids))::bigint AS rows,
       (CASE WHEN t.relkind IN ('i', 'S') THEN pg_relation_size(t.oid) ELSE pg_total_relation_size(t.oid) END
        + coalesce((SELECT sum(pg_total_relation_size(oid)) FROM unnest(leaves.oids) AS leaf (oid)), 0))::bigint AS bytes,
       t.relpersistence::text AS persistence,
       (SELECT amname::text FROM pg_am WHERE oid = t.relam) AS access_method,
       coalesce((SELECT spcname::text FROM pg_tablespace WHERE oid = t.reltablespace),
                (SELECT s.spcname::text FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace
                  WHERE d.datname = current_database())) AS tablespace,
       t.relkind = 'p' AS partitioned,
       EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = t.oid AND partdefid <> 0) AS has_default_partition,
       EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND contype = 'c' AND convalidated) AS checked,
       EXISTS (SELECT FROM pg_attribute n WHERE n.attrelid = t.oid AND n.attnum > 0 AND NOT n.attisdropped AND NOT n.attnotnull) AS nullable,
       coalesce((SELECT json_object_agg(x.relname, EXISTS (
                            SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                              JOIN pg_attribute n ON n.attrelid = t.oid AND n.attnum = k.attnum
                             WHERE k.place <= i.indnkeyatts AND NOT n.attnotnull))
                   FROM pg_index i
                   JOIN pg_class x ON x.oid = i.indexrelid
                  WHERE i.indrelid = t.oid AND i.indisunique), '{}') AS unique_indexes,
       ARRAY(SELECT e.event
               FROM (VALUES ('update', '2', 16), ('insert', '3', 4), ('delete', '4', 8), ('truncate', NULL, 32)) AS e (event, of_rule, bit)
              WHERE EXISTS (SELECT FROM pg_rewrite
                             WHERE ev_class = t.oid AND ev_type::text = e.of_rule AND ev_enabled IN ('O', 'A'))
                 OR EXISTS (SELECT FROM pg_trigger
                             WHERE (tgrelid = t.oid OR tgrelid = ANY (leaves.oids)) AND NOT tgisinternal
                               AND tgenabled IN ('O', 'A') AND tgtype & e.bit <> 0)
              UNION ALL
             SELECT 'select' WHERE t.relkind = 'v' AND EXISTS (
                    WITH RECURSIVE read AS (
                        SELECT t.oid
                         UNION
                        SELECT d.refobjid
                          FROM read r
                          JOIN pg_rewrite w ON w.ev_class = r.oid AND w.ev_type = '1'
                          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
                          JOIN pg_class v ON v.oid = d.refobjid AND v.relkind = 'v'
                    )
                    SELECT FROM read r
                      JOIN pg_rewrite w ON w.ev_class = r.oid AND w.ev_type = '1'
                      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_proc'::regclass
                      JOIN pg_proc p ON p.oid = d.refobjid AND p.provolatile = 'v')) AS fires
  FROM there t
  LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND t.part <> '' AND a.attname = t.part AND a.attnum > 0 AND NOT a.attisdropped
 CROSS JOIN LATERAL (SELECT coalesce(array_agg(relid::oid) FILTER (WHERE isleaf), '{}') AS oids
                       FROM pg_partition_tree(t.oid) WHERE t.relkind = 'p') AS leaves
