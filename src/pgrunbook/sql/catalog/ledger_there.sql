-- Is there a ledger, and what is there in its place, or hangs on it, that no trusted role has made?
WITH trusted AS (
-- as trusted.sql says
), here AS (
    SELECT oid, nspowner FROM pg_namespace WHERE nspname = 'pgrunbook'
), tables AS (
    SELECT c.oid, c.relname, c.relkind, c.relowner
      FROM here
      JOIN pg_class c ON c.relnamespace = here.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), strange AS (
    SELECT 1 AS place, 'schema pgrunbook' AS name, 'is another role''s' AS what, nspowner AS owner
      FROM here
     WHERE nspowner NOT IN (SELECT oid FROM trusted)
     UNION ALL
    SELECT 2, format('pgrunbook.%%I', relname),
           CASE relkind WHEN 'r' THEN 'is another role''s' WHEN 'v' THEN 'is a view of another role''s'
                        ELSE 'is no ordinary table, and another role''s' END, relowner
      FROM tables
     WHERE relowner NOT IN (SELECT oid FROM trusted)
     UNION ALL
    -- whoever may make triggers on a table may have them run an expression, with a function that we trust
    SELECT 3, format('trigger %%I on pgrunbook.%%I', g.tgname, tables.relname),
           CASE WHEN g.tgqual IS NULL THEN 'runs another role''s function' ELSE 'has a condition' END, p.proowner
      FROM tables
      JOIN pg_trigger g ON g.tgrelid = tables.oid AND NOT g.tgisinternal
      JOIN pg_proc p ON p.oid = g.tgfoid
     WHERE p.proowner NOT IN (SELECT oid FROM trusted) OR g.tgqual IS NOT NULL
     UNION ALL
    SELECT 4, format('rule %%I on pgrunbook.%%I', r.rulename, tables.relname), 'is not the ledger''s own', tables.relowner
      FROM tables
      JOIN pg_rewrite r ON r.ev_class = tables.oid
     WHERE tables.relkind = 'r'
     UNION ALL
    -- it would look empty, or shorter than it is, without a word
    SELECT 5, format('pgrunbook.%%I', relname), 'hides rows from this role', relowner
      FROM tables
     WHERE relkind = 'r' AND row_security_active(oid)
)
SELECT EXISTS (SELECT FROM tables WHERE relname = 'blocks') AS there,
       coalesce((SELECT jsonb_agg(jsonb_build_object('name', name, 'what', what, 'owner', pg_get_userbyid(owner))
                                  ORDER BY place, name)
                   FROM strange), '[]') AS strange
