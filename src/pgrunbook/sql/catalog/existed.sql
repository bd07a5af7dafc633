-- Which of these relations does this session see, what are they called, and in which files do they lie?
-- printed for the schema
SELECT c.oid::bigint AS oid, c.oid::regclass::text AS relation, coalesce(pg_relation_filenode(c.oid), 0)::bigint AS filenode
  FROM pg_class c
 WHERE c.oid = ANY (%(oids)s::oid[])
   AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace
                               WHERE nspname IN ('pg_catalog', 'pg_toast', 'information_schema', 'pgrunbook'))
