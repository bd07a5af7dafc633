-- What are these tables: kind, owner, planner's row estimate, size on disk with indexes and TOAST?
SELECT c.relname::text AS "table",
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                      WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END AS kind,
       pg_get_userbyid(c.relowner)::text AS owner,
       nullif(c.reltuples, -1)::bigint AS estimated_rows,
       pg_total_relation_size(c.oid) AS bytes,
       obj_description(c.oid, 'pg_class') AS comment
  FROM pg_class c
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND c.relname = ANY (%(tables)s)
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY array_position(%(tables)s::text[], c.relname::text)
