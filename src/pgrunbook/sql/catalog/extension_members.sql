-- Which types, functions and foreign-data wrappers do these extensions bring, as what could stand in for them would be
-- made? A wrapper, without a handler, takes a superuser.
SELECT e.extname AS extension,
       quote_ident(n.nspname) AS schema,
       format('CREATE DOMAIN %%I.%%I AS text', n.nspname, t.typname) AS sql,
       1 AS place, false AS privileged
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE e.extname = ANY (%(names)s)
   AND t.typtype = 'b' AND t.typelem = 0
UNION ALL
SELECT e.extname,
       quote_ident(n.nspname),
       format('CREATE FUNCTION %%I.%%I(%%s) RETURNS %%s LANGUAGE plpgsql %%s AS $$ BEGIN '
              'PERFORM pg_catalog.set_config(''pgrunbook.stood_in'', %%L, false); RETURN%%s; END $$',
              n.nspname, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
              CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
              p.proname,
              CASE WHEN p.prorettype <> 'void'::regtype THEN ' NULL' END),
       2, false
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE e.extname = ANY (%(names)s)
   AND p.prokind = 'f' AND NOT p.proretset
   AND NOT p.prorettype::regtype::text ~ '_handler$'
   AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype, 'cstring'::regtype)
   AND NOT ('internal'::regtype = ANY (p.proargtypes::oid[]) OR 'cstring'::regtype = ANY (p.proargtypes::oid[]))
UNION ALL
SELECT e.extname, quote_ident(n.nspname), format('CREATE FOREIGN DATA WRAPPER %%I', w.fdwname), 3, true
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  JOIN pg_foreign_data_wrapper w ON d.classid = 'pg_foreign_data_wrapper'::regclass AND w.oid = d.objid
 WHERE e.extname = ANY (%(names)s)
 ORDER BY 4, 1, 3
