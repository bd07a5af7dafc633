-- In which files do these relations lie now, as this transaction sees it?
SELECT c.oid::bigint AS oid, coalesce(pg_relation_filenode(c.oid), 0)::bigint AS filenode
  FROM pg_class c
 WHERE c.oid = ANY (%(oids)s::oid[])
