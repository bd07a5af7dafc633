-- Which functions, operators, types and casts of the schema may be taken for those of pg_catalog, and whose are they?
-- Left out is what a role has made that is trusted, or that owns the schema; what belongs to an extension of theirs; what
-- takes the very same arguments, as pg_catalog comes first; and what takes a type of its own maker's, if one of pg_catalog
-- takes all of its other arguments as they are, and so is no worse a match for them: https://www.postgresql.org/docs/current/typeconv-oper.html
WITH trusted AS (
-- as trusted.sql says
     UNION ALL
    SELECT nspowner FROM pg_namespace WHERE nspname = %(schema)s
), here AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname = %(schema)s
), namesakes AS (
    SELECT 'pg_proc'::regclass AS class, proname::text AS called, proargtypes::oid[] AS arguments
      FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
     UNION ALL
    SELECT 'pg_operator'::regclass, oprname::text, ARRAY[oprleft, oprright]
      FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace
), apart AS ( -- types that no value of another type becomes by itself, as it does one of a domain
    SELECT t.oid, t.typowner AS owner
      FROM pg_type t
      JOIN pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
     WHERE e.typtype <> 'd'
       AND NOT EXISTS (SELECT FROM pg_cast k WHERE k.casttarget IN (t.oid, e.oid) AND k.castcontext = 'i')
), made AS (
    SELECT CASE p.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind,
           'pg_proc'::regclass AS class, p.oid, p.proowner AS owner, p.proname::text AS called,
           format('%%I.%%I(%%s)', here.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
           p.proargtypes::oid[] AS arguments
      FROM here
      JOIN pg_proc p ON p.pronamespace = here.oid
     WHERE EXISTS (SELECT FROM pg_proc c
                    WHERE c.pronamespace = 'pg_catalog'::regnamespace AND c.proname = p.proname
                      AND (c.provariadic <> 0 OR c.pronargs >= p.pronargs - p.pronargdefaults)
                      AND (p.provariadic <> 0 OR p.pronargs >= c.pronargs - c.pronargdefaults)
                     UNION ALL
                    SELECT FROM pg_type c -- uuid(x) is a cast, if there is no such function
                     WHERE c.typnamespace = 'pg_catalog'::regnamespace AND c.typname = p.proname
                       AND 1 BETWEEN p.pronargs - p.pronargdefaults AND p.pronargs)
       AND NOT EXISTS (SELECT FROM pg_proc c
                        WHERE c.pronamespace = 'pg_catalog'::regnamespace AND c.proname = p.proname
                          AND c.proargtypes = p.proargtypes AND p.provariadic = 0 AND p.pronargdefaults = 0)
     UNION ALL
    SELECT 'OPERATOR', 'pg_operator'::regclass, o.oid, o.oprowner, o.oprname::text,
           format('%%I.%%s (%%s, %%s)', here.nspname, o.oprname,
                  coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'), format_type(o.oprright, NULL)),
           ARRAY[o.oprleft, o.oprright]
      FROM here
      JOIN pg_operator o ON o.oprnamespace = here.oid
     WHERE EXISTS (SELECT FROM pg_operator c
                    WHERE c.oprnamespace = 'pg_catalog'::regnamespace AND c.oprname = o.oprname
                      AND (c.oprleft = 0) = (o.oprleft = 0))
       AND NOT EXISTS (SELECT FROM pg_operator c
                        WHERE c.oprnamespace = 'pg_catalog'::regnamespace AND c.oprname = o.oprname
                          AND c.oprleft = o.oprleft AND c.oprright = o.oprright)
     UNION ALL
    SELECT CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, 'pg_type'::regclass, t.oid, t.typowner, NULL,
           format('%%I.%%I', here.nspname, t.typname), '{}'
      FROM here
      JOIN pg_type t ON t.typnamespace = here.oid AND t.typtype <> 'm'
     WHERE EXISTS (SELECT FROM pg_type c WHERE c.typnamespace = 'pg_catalog'::regnamespace AND c.typname = t.typname)
       AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
       AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class r WHERE r.oid = t.typrelid AND r.relkind = 'c')) -- no table's row
     UNION ALL
    SELECT 'CAST', 'pg_cast'::regclass, k.oid, t.typowner, NULL,
           format('(%%s AS %%s)', format_type(k.castsource, NULL), format_type(k.casttarget, NULL)), '{}'
      FROM here
      JOIN pg_type t ON t.typnamespace = here.oid
      JOIN pg_cast k ON k.castcontext = 'i' AND t.oid IN (k.castsource, k.casttarget)
      JOIN pg_type c ON c.oid IN (k.castsource, k.casttarget) AND c.typnamespace = 'pg_catalog'::regnamespace
)
SELECT kind, name, pg_get_userbyid(owner)::text AS owner
  FROM made
 WHERE owner NOT IN (SELECT oid FROM trusted)
   AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                    WHERE d.classid = made.class AND d.objid = made.oid AND d.deptype = 'e'
                      AND e.extowner IN (SELECT oid FROM trusted))
   AND NOT (EXISTS (SELECT FROM pg_type t WHERE t.oid = ANY (made.arguments) AND t.typowner = made.owner)
            AND EXISTS (SELECT FROM namesakes c
                         WHERE c.class = made.class AND c.called = made.called
                           AND NOT EXISTS (
                               SELECT FROM unnest(made.arguments) WITH ORDINALITY AS one (type, place)
                                 LEFT JOIN unnest(c.arguments) WITH ORDINALITY AS other (type, place) USING (place)
                                 LEFT JOIN pg_type d ON d.oid = one.type AND d.typtype = 'd'
                                WHERE coalesce(d.typbasetype, one.type) IS DISTINCT FROM other.type
                                  AND NOT EXISTS (SELECT FROM apart
                                                   WHERE apart.oid = one.type AND apart.owner = made.owner))))
 ORDER BY kind, name
