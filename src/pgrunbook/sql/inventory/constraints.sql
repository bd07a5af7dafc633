-- Which constraints do tables have, and what of their indexes do the constraints not say?
-- of pg_constraint: k.oid; in c.relnamespace
-- NOT NULL is said of the column; what a partition has of its parent's foreign keys is no constraint of its own.
SELECT k.oid, 0, k.conrelid, 'table constraint',
       quote_ident(k.conname) || ' on ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_get_constraintdef(k.oid) AS definition,
       NOT k.conislocal AND NOT c.relispartition AS inherited,
       i.reloptions AS options,
       s.spcname::text AS tablespace,
       x.indisclustered AS clustered,
       x.indisreplident AS "replica identity",
       NOT x.indisvalid AS invalid,
       h.inhparent::regclass::text AS "partition of",
       o.description AS "comment on the index"
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index x ON x.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_class i ON i.oid = x.indexrelid
  LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
  LEFT JOIN pg_description o ON o.objoid = i.oid AND o.classoid = 'pg_class'::regclass AND o.objsubid = 0
  LEFT JOIN pg_inherits h ON h.inhrelid = x.indexrelid
 WHERE k.contype IN ('p', 'u', 'x', 'c', 'f') AND (k.contype <> 'f' OR k.conparentid = 0) AND {wanted}
