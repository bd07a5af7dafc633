-- What are the relations called that this session has locked, and in which files do they lie? Declared as a cursor before a
-- statement has changed anything, it reads the catalog as it was then, of what is locked when it is fetched. Else what the
-- transaction has made itself has to be left out: what is newer than it.
SELECT c.oid::bigint AS oid,
       CASE WHEN n.nspname = %(schema)s THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(c.relname) AS relation,
       c.relfilenode::bigint AS filenode
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY (nullif(current_setting('pgrunbook.held', true), '')::oid[]) -- the planner asks too, before it is set
   AND (%(cursor)s OR c.oid <= nullif(current_setting('pgrunbook.newest', true), '')::oid)
   AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'pgrunbook')
