-- Which aggregates are there? What is said of a final function is no difference where there is none: no dump has it.
-- of pg_proc: p.oid; in p.pronamespace; with pg_proc a
SELECT p.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(p.proowner)::text AS owner,
       pg_get_function_result(p.oid) AS returns,
       pg_get_function_arguments(p.oid) AS arguments,
       jsonb_strip_nulls(jsonb_build_object(
           'kind', a.aggkind, 'direct arguments', a.aggnumdirectargs, 'parallel', p.proparallel,
           'sfunc', a.aggtransfn::regprocedure, 'stype', format_type(a.aggtranstype, NULL), 'sspace', a.aggtransspace,
           'finalfunc', nullif(a.aggfinalfn, 0)::regprocedure, 'finalfunc_extra', a.aggfinalextra,
           'finalfunc_modify', CASE WHEN a.aggfinalfn = 0 THEN usual.modify ELSE a.aggfinalmodify END, 'combinefunc', nullif(a.aggcombinefn, 0)::regprocedure,
           'serialfunc', nullif(a.aggserialfn, 0)::regprocedure, 'deserialfunc', nullif(a.aggdeserialfn, 0)::regprocedure,
           'initcond', a.agginitval, 'sortop', nullif(a.aggsortop, 0)::regoperator,
           'msfunc', nullif(a.aggmtransfn, 0)::regprocedure, 'minvfunc', nullif(a.aggminvtransfn, 0)::regprocedure,
           'mstype', CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END,
           'msspace', a.aggmtransspace, 'mfinalfunc', nullif(a.aggmfinalfn, 0)::regprocedure,
           'mfinalfunc_extra', a.aggmfinalextra,
           'mfinalfunc_modify', CASE WHEN a.aggmfinalfn = 0 THEN usual.modify ELSE a.aggmfinalmodify END,
           'minitcond', a.aggminitval)) AS definition,
       p.proacl::text[] AS acl, acldefault('f', p.proowner)::text[] AS "default acl"
  FROM pg_proc p
  JOIN pg_aggregate a ON a.aggfnoid = p.oid
 CROSS JOIN LATERAL (SELECT CASE a.aggkind WHEN 'n' THEN 'r' ELSE 'w' END::"char") AS usual (modify)
 CROSS JOIN LATERAL pg_identify_object('pg_proc'::regclass, p.oid, 0) AS o
 WHERE p.prokind = 'a' AND {wanted}
