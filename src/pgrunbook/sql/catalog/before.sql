-- What were the relations called that this session has locked, and in which files did they lie? To be declared as a cursor
-- before a statement has changed anything: it reads the catalog as it was then, of what is locked when it is fetched.
SELECT c.oid::bigint AS oid,
       CASE WHEN n.nspname = %(schema)s THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(c.relname) AS relation,
       c.relfilenode::bigint AS filenode
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY (nullif(current_setting('pgrunbook.held', true), '')::oid[]) -- the planner asks too, before it is set
   AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'pgrunbook')
