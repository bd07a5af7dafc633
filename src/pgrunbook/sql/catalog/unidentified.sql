-- Which of these tables, or partitions of them, have no replica identity, and are in a publication that would have to tell
-- subscribers by it which row was updated, or deleted? As CheckCmdReplicaIdentity has it (execReplication.c).
WITH given AS (
    SELECT DISTINCT n.nspname, c.relname, coalesce(p.relid::oid, c.oid) AS oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS given (nspname, relname)
      JOIN pg_namespace n ON n.nspname = given.nspname
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.relname
      LEFT JOIN pg_partition_tree(c.oid) p ON c.relkind = 'p' AND p.isleaf
), lacking AS (
    SELECT g.*
      FROM given g
      JOIN pg_class c ON c.oid = g.oid
     WHERE c.relkind = 'r'
       AND c.relpersistence = 'p'
       AND c.relreplident <> 'f'
       AND NOT EXISTS (SELECT FROM pg_index x
                        WHERE x.indrelid = g.oid AND x.indisvalid
                          AND (c.relreplident = 'd' AND x.indisprimary AND x.indimmediate
                               OR c.relreplident = 'i' AND x.indisreplident))
)
SELECT l.nspname::text AS "schema",
       l.relname::text AS name,
       string_agg(DISTINCT quote_ident(p.pubname), ', ') AS publications,
       min(l.oid::regclass::text) AS lacking,
       bool_or(p.pubupdate) AS updates,
       bool_or(p.pubdelete) AS deletes
  FROM lacking l
 CROSS JOIN LATERAL (SELECT l.oid UNION SELECT relid::oid FROM pg_partition_ancestors(l.oid)) AS a (oid)
  JOIN pg_class c ON c.oid = a.oid
  JOIN pg_publication p
    ON p.puballtables
    OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = a.oid)
    OR EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)
 GROUP BY l.nspname, l.relname
HAVING bool_or(p.pubupdate) OR bool_or(p.pubdelete)
