-- Which columns do tables and views have?
-- of pg_class: a.attrelid, a.attnum; in c.relnamespace
-- A default names no column: without its table it is printed in half the time, and without a lock.
-- NOT NULL is a constraint with a name in version 18; its usual name, and what is usual of it, goes without saying.
SELECT a.attrelid, a.attnum, a.attrelid,
       CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END
           || ' column',
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname),
       a.attnum AS "#",
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
       a.attnotnull AS "not null",
       CASE WHEN k.conname <> c.relname || '_' || a.attname || '_not_null' THEN k.conname::text END AS "not null constraint",
       nullif(concat_ws(' ', CASE WHEN k.connoinherit THEN 'NO INHERIT' END,
                             CASE WHEN NOT k.convalidated THEN 'NOT VALID' END,
                             CASE WHEN NOT k.conislocal AND NOT c.relispartition THEN 'INHERITED' END), '') AS "not null option",
       o.description AS "not null comment",
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0) END AS "default",
       CASE a.attgenerated WHEN 's' THEN pg_get_expr(d.adbin, d.adrelid) || ' STORED'
                           WHEN 'v' THEN pg_get_expr(d.adbin, d.adrelid) || ' VIRTUAL' END AS generated,
       CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity,
       NOT a.attislocal AND NOT c.relispartition AS inherited,
       CASE WHEN a.attstorage <> t.typstorage AND c.relkind <> 'v' THEN
            CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' WHEN 'x' THEN 'EXTENDED' END
        END AS storage,
       CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       nullif(a.attstattarget, -1) AS statistics, -- from version 17 on NULL
       a.attoptions AS options,
       a.attfdwoptions AS "foreign options",
       a.attacl::text[] AS acl
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum
  LEFT JOIN pg_description o ON o.objoid = k.oid AND o.classoid = 'pg_constraint'::regclass
 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND {wanted}
