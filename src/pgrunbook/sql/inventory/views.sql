-- Which views and materialized views are there?
-- of pg_class: c.oid; in c.relnamespace; with pg_class v m
SELECT c.oid, 0, NULL,
       CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_get_userbyid(c.relowner)::text AS owner,
       pg_get_viewdef(c.oid) AS definition,
       m.amname::text AS "access method",
       s.spcname::text AS tablespace,
       c.reloptions || (SELECT array_agg('toast.' || option) FROM unnest(t.reloptions) AS toast (option)) AS options,
       CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END AS "replica identity",
       c.relacl::text[] AS acl, acldefault('r', c.relowner)::text[] AS "default acl"
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE c.relkind IN ('v', 'm') AND {wanted}
