-- Which CHECK constraints do these domains have?
-- printed for the schema
SELECT k.contypid::int8 AS type_oid,
       k.contypid::regtype::text AS owner,
       k.conname::text AS name,
       pg_get_expr(k.conbin, 0) AS expression,
       pg_get_constraintdef(k.oid) AS definition,
       k.convalidated AS validated,
       coalesce(obj_description(k.oid, 'pg_constraint'), '') AS comment,
       ARRAY(SELECT o.conname::text FROM pg_constraint o WHERE o.contypid = k.contypid) AS taken
  FROM pg_constraint k
 WHERE k.contypid = ANY (%(types)s::oid[])
   AND k.contype = 'c'
 ORDER BY array_position(%(types)s::oid[], k.contypid) DESC, k.conname
