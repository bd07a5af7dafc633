-- What are these columns: their types, what a value of the new type would be, and whether they hold no NULL for certain?
-- `cast_by` is pg_cast's castmethod; `is_not_null` yes, perhaps (a CHECK says so among other things) or no. `made_anew`: a new type
-- has a CHECK checked once more, of the table or of a child, or an index built: see RememberConstraintForRebuilding and
-- CheckIndexCompatible in src/backend/commands.
-- printed for the schema
SELECT g.nspname AS "schema",
       g.relname AS "table",
       a.attname::text AS "column",
       g.new_type,
       g.new_collation,
       format_type(a.atttypid, a.atttypmod) AS type,
       o.typtype = 'd' AS of_domain,
       coalesce(nullif(o.typbasetype, 0), o.oid)::bigint AS base,
       coalesce(nullif(w.typbasetype, 0), w.oid)::bigint AS new_base,
       w.typtype = 'd' AS to_domain,
       (SELECT castmethod::text FROM pg_cast
         WHERE castsource = coalesce(nullif(o.typbasetype, 0), o.oid) AND casttarget = w.oid) AS cast_by,
       to_jsonb(a) ->> 'attgenerated' AS generated,
       CASE WHEN a.attnotnull AND NOT coalesce(unproven.is, false) THEN 'yes' ELSE coalesce(said.by_check, 'no') END AS is_not_null,
       EXISTS (
           WITH RECURSIVE heirs AS (
               SELECT c.oid
                UNION
               SELECT i.inhrelid FROM heirs JOIN pg_inherits i ON i.inhparent = heirs.oid
           )
           SELECT
             FROM heirs
             JOIN pg_attribute h ON h.attrelid = heirs.oid AND h.attname = a.attname
            WHERE EXISTS (SELECT FROM pg_constraint k
                           WHERE k.conrelid = h.attrelid AND k.contype = 'c' AND k.convalidated AND h.attnum = ANY (k.conkey))
               OR EXISTS (SELECT FROM pg_index x
                            JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                                            AND d.refobjid = h.attrelid AND d.refobjsubid = h.attnum
                           WHERE x.indexprs IS NOT NULL OR x.indpred IS NOT NULL)
               OR EXISTS (SELECT FROM pg_index x
                           CROSS JOIN LATERAL unnest(x.indkey::int2[], x.indclass::oid[], x.indcollation::oid[])
                                           AS key (attnum, opclass, "collation")
                            JOIN pg_opclass was ON was.oid = key.opclass
                            LEFT JOIN pg_opclass becomes ON was.opcdefault AND becomes.opcdefault AND becomes.opcmethod = was.opcmethod
                                                        AND becomes.opcintype = coalesce(nullif(w.typbasetype, 0), w.oid)
                           WHERE x.indrelid = h.attrelid AND key.attnum = h.attnum
                             AND (becomes.oid <> was.oid
                                  OR key."collation" = h.attcollation
                                 AND h.attcollation <> CASE g.new_collation WHEN '' THEN w.typcollation
                                                       ELSE coalesce(to_regcollation(g.new_collation)::oid, 0) END))) AS made_anew
  FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[], %(types)s::text[], %(collations)s::text[])
         AS g (nspname, relname, attname, new_type, new_collation)
  JOIN pg_namespace n ON n.nspname = g.nspname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = g.relname
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = g.attname AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type o ON o.oid = a.atttypid
  LEFT JOIN pg_type w ON w.oid = to_regtype(nullif(g.new_type, ''))
  LEFT JOIN LATERAL (SELECT bool_or(NOT k.convalidated) AS is FROM pg_constraint k
                      WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]) AS unproven ON true
  LEFT JOIN LATERAL (
       SELECT CASE WHEN bool_or(pg_get_expr(k.conbin, k.conrelid) = format('(%%I IS NOT NULL)', a.attname)) THEN 'yes'
                   WHEN bool_or(strpos(pg_get_expr(k.conbin, k.conrelid), format('(%%I IS NOT NULL)', a.attname)) > 0)
                   THEN 'perhaps' END AS by_check
         FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated AND a.attnum = ANY (k.conkey)) AS said ON true
