-- Which table, the first of these schemas that has it, do batches go through, and what is there of the key that they are
-- cut by: its types, which columns may be NULL or are missing, the unique index that has just these columns, and others.
WITH t AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (%(schemas)s::text[])
       AND c.relname = %(table)s
     ORDER BY array_position(%(schemas)s::text[], n.nspname::text)
     LIMIT 1
), k AS (
    SELECT w.place, w.name, a.attnum, a.attcollation, format_type(a.atttypid, a.atttypmod) AS type,
           a.attnotnull AND NOT EXISTS (
               SELECT FROM pg_constraint o
                WHERE o.conrelid = t.oid AND o.contype = 'n' AND o.conkey = ARRAY[a.attnum] AND NOT o.convalidated) AS filled
      FROM t
     CROSS JOIN unnest(%(columns)s::text[]) WITH ORDINALITY AS w (name, place)
      LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped
), i AS (
    SELECT x.indexrelid, x.indnkeyatts, x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL
           AND am.amname = 'btree' AS sound,
           (SELECT array_agg(attnum ORDER BY place) FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS u (attnum, place)
             WHERE place <= x.indnkeyatts) AS columns,
           (SELECT count(DISTINCT option & 1) = 1 FROM unnest(x.indoption::int2[]) AS u (option)) AS one_way,
           (SELECT bool_and(c.opcdefault) FROM unnest(x.indclass::oid[]) AS u (class)
              JOIN pg_opclass c ON c.oid = class) AS ordinary,
           (SELECT array_agg(sorted_by ORDER BY place) FROM unnest(x.indcollation::oid[]) WITH ORDINALITY AS u (sorted_by, place)
             WHERE place <= x.indnkeyatts) AS collations
      FROM t
      JOIN pg_index x ON x.indrelid = t.oid AND x.indisunique
      JOIN pg_class c ON c.oid = x.indexrelid
      JOIN pg_am am ON am.oid = c.relam
)
SELECT t.oid::bigint AS oid, t.nspname AS schema, t.relname AS "table", t.relkind IN ('r', 'p') AS is_table,
       greatest(t.reltuples, -1)::bigint AS estimated_rows, pg_total_relation_size(t.oid) AS bytes,
       (SELECT count(*) FROM pg_index x WHERE x.indrelid = t.oid) AS indexes,
       row_security_active(t.oid) AS hides,
       t.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = t.oid) AS inherited,
       (SELECT array_agg(type ORDER BY place) FROM k) AS types,
       (SELECT coalesce(array_agg(name ORDER BY place) FILTER (WHERE attnum IS NULL), '{}') FROM k) AS missing,
       (SELECT coalesce(array_agg(name ORDER BY place) FILTER (WHERE NOT filled), '{}') FROM k) AS nullable,
       EXISTS (SELECT FROM i
                WHERE sound AND one_way AND ordinary
                  AND columns = (SELECT array_agg(attnum ORDER BY place) FROM k)
                  AND collations = (SELECT array_agg(attcollation ORDER BY place) FROM k)) AS is_key,
       (SELECT coalesce(array_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid), '{}') FROM i) AS others
  FROM t
