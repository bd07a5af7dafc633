-- Which indexes are there that no constraint has made?
-- of pg_class: i.oid; in i.relnamespace
SELECT i.oid, 0, x.indrelid, 'index',
       quote_ident(n.nspname) || '.' || quote_ident(i.relname),
       pg_get_indexdef(i.oid) AS definition,
       s.spcname::text AS tablespace,
       x.indisclustered AS clustered,
       x.indisreplident AS "replica identity",
       NOT x.indisvalid AS invalid,
       h.inhparent::regclass::text AS "partition of",
       CASE WHEN x.indexprs IS NOT NULL THEN (
            SELECT array_agg(a.attnum || ': ' || a.attstattarget ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = i.oid AND a.attstattarget >= 0) END AS statistics
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_namespace n ON n.oid = i.relnamespace
  LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
  LEFT JOIN pg_inherits h ON h.inhrelid = i.oid
 WHERE n.nspname <> 'pg_toast' AND {wanted}
   AND NOT EXISTS (SELECT FROM pg_constraint k
                    WHERE k.conrelid = x.indrelid AND k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
