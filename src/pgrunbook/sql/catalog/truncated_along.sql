-- Which tables does TRUNCATE … CASCADE truncate along with each of these? Those that refer to it, and those that refer to them.
-- printed for the schema
WITH RECURSIVE along AS (
    SELECT given.oid AS "table", given.oid FROM unnest(%(oids)s::oid[]) AS given (oid)
     UNION
    SELECT a."table", n.oid
      FROM along a
     CROSS JOIN LATERAL (SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid = a.oid
                          UNION ALL
                         SELECT inhrelid FROM pg_inherits WHERE inhparent = a.oid) AS n (oid)
)
SELECT "table"::bigint AS oid, array_agg('table ' || along.oid::regclass ORDER BY along.oid::regclass::text) AS tables
  FROM along
  JOIN pg_class c ON c.oid = along.oid AND c.relkind IN ('r', 'p', 'f')
 WHERE along.oid <> "table"
   AND along.oid NOT IN (SELECT inhrelid FROM pg_inherits JOIN pg_class p ON p.oid = inhparent AND p.relkind = 'p')
 GROUP BY "table"
