-- Which of these tables are there, may this role lock them, which tables do their foreign keys refer to, and of which
-- table is it a partition?
-- LOCK TABLE takes one of these privileges for its stronger modes; a REFERENCES privilege alone is none of them.
SELECT n.nspname::text AS "schema",
       c.relname::text AS "table",
       c.relkind = 'p' AS partitioned,
       has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AS lockable,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'name', k.conname,
                   'columns', ARRAY(SELECT a.attname FROM pg_attribute a
                                     WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)),
                   'schema', m.nspname,
                   'table', r.relname,
                   'partitioned', r.relkind = 'p',
                   'lockable', has_table_privilege(r.oid, 'UPDATE, DELETE, TRUNCATE'))), '[]')
          FROM pg_constraint k
          JOIN pg_class r ON r.oid = k.confrelid
          JOIN pg_namespace m ON m.oid = r.relnamespace
         WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid) AS keys,
       (SELECT jsonb_build_object('schema', m.nspname,
                                  'table', r.relname,
                                  'lockable', has_table_privilege(r.oid, 'UPDATE, DELETE, TRUNCATE'))
          FROM pg_inherits i
          JOIN pg_class r ON r.oid = i.inhparent
          JOIN pg_namespace m ON m.oid = r.relnamespace
         WHERE i.inhrelid = c.oid AND c.relispartition) AS parent
  FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS given (nspname, relname)
  JOIN pg_namespace n ON n.nspname = given.nspname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.relname
 WHERE c.relkind IN ('r', 'p')
