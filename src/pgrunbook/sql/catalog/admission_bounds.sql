-- Which rows do the partitions at the end of this partition tree take? NULL: every row.
-- printed for the schema
SELECT relid::text AS partition,
       pg_get_partition_constraintdef(relid) AS bound
  FROM pg_partition_tree(%(relation)s::oid::regclass)
 WHERE isleaf AND (relid <> %(relation)s::oid OR EXISTS (
           SELECT FROM pg_class WHERE oid = %(relation)s::oid AND relispartition))
 ORDER BY 1
