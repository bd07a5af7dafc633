-- Which CHECK constraints read this column, of the relation and (where they have their own) of its partitions?
-- printed for the schema
WITH RECURSIVE family (top, oid) AS (
    SELECT %(relation)s::oid, %(relation)s::oid
     UNION
    SELECT relid, relid FROM pg_partition_tree(%(relation)s::oid::regclass) AS tree (relid)
     UNION
    SELECT family.top, i.inhrelid FROM family JOIN pg_inherits i ON i.inhparent = family.oid
)
SELECT k.conrelid::regclass::text AS owner,
       c.relname::text AS alias,
       k.conname::text AS name,
       pg_get_expr(k.conbin, k.conrelid) AS expression,
       pg_get_constraintdef(k.oid) AS definition,
       k.convalidated AS validated,
       k.connoinherit AS no_inherit,
       coalesce(obj_description(k.oid, 'pg_constraint'), '') AS comment,
       (SELECT i.inhparent::regclass::text
          FROM pg_inherits i
          JOIN pg_constraint p ON p.conrelid = i.inhparent AND p.conname = k.conname AND p.contype = 'c'
         WHERE i.inhrelid = k.conrelid AND k.coninhcount > 0
         ORDER BY i.inhseqno LIMIT 1) AS inherited_from,
       (SELECT string_agg(o.conrelid::regclass::text, ', ' ORDER BY o.conrelid::regclass::text)
          FROM family JOIN pg_constraint o ON o.conrelid = family.oid
         WHERE family.top = k.conrelid AND o.conrelid <> k.conrelid AND o.conname = k.conname
           AND o.conislocal AND NOT k.connoinherit) AS also_local_in,
       ARRAY(SELECT o.conname::text FROM family JOIN pg_constraint o ON o.conrelid = family.oid
              WHERE family.top = k.conrelid) AS taken
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attname = %(column)s
 WHERE k.conrelid IN (SELECT top FROM family)
   AND k.contype = 'c'
   AND (a.attnum = ANY (k.conkey) OR 0 = ANY (k.conkey)) -- 0 is a whole row
   AND (k.conrelid = %(relation)s::oid OR k.coninhcount = 0)
   AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) -- a column since version 18
 ORDER BY k.conrelid <> %(relation)s::oid, owner, name
