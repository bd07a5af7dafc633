-- Which of these columns do views, policies, triggers or functions read? Their types are fixed.
SELECT DISTINCT n.nspname::text AS schema, c.relname::text AS "table", a.attname::text AS "column"
  FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[])
       AS asked (schema, "table", "column")
  JOIN pg_namespace n ON n.nspname = asked.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked."table"
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = asked."column" AND a.attnum > 0
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass
                  AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
 WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass,
                     'pg_proc'::regclass, 'pg_attrdef'::regclass)
