-- Which tables and foreign tables are there, how are they stored, and what are they parts of?
-- of pg_class: c.oid; in c.relnamespace
SELECT c.oid, 0, NULL,
       CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_get_userbyid(c.relowner)::text AS owner,
       CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
       m.amname::text AS "access method",
       s.spcname::text AS tablespace,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partition by",
       CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS partition,
       CASE WHEN i.inhrelid IS NOT NULL THEN -- the order of the parents is that of the columns
            ARRAY(SELECT e.inhparent::regclass::text FROM pg_inherits e WHERE e.inhrelid = c.oid ORDER BY e.inhseqno)
        END AS inherits,
       CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS "of type",
       c.reloptions || (SELECT array_agg('toast.' || option) FROM unnest(t.reloptions) AS toast (option)) AS options,
       c.relrowsecurity AS "row security",
       c.relforcerowsecurity AS "row security of the owner",
       CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END AS "replica identity",
       v.srvname::text AS server,
       f.ftoptions AS "foreign options",
       c.relacl::text[] AS acl, acldefault('r', c.relowner)::text[] AS "default acl"
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhseqno = 1
  LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
  LEFT JOIN pg_foreign_server v ON v.oid = f.ftserver
 WHERE c.relkind IN ('r', 'p', 'f') AND {wanted}
