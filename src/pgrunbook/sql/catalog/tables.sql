-- What are these tables: kind, owner, planner's row estimate, size on disk with indexes and TOAST?
SELECT c.relname::text AS "table",
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                      WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END AS kind,
       pg_get_userbyid(c.relowner)::text AS owner,
       nullif(c.reltuples, -1)::bigint AS estimated_rows,
       pg_total_relation_size(c.oid) AS bytes,
       obj_description(c.oid, 'pg_class') AS comment
  FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted (name, place)
  JOIN pg_class c ON c.relname = wanted.name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY wanted.place
