-- Which foreign-data wrappers are there?
-- of pg_foreign_data_wrapper: w.oid
SELECT w.oid, 0, NULL, 'foreign-data wrapper', quote_ident(w.fdwname),
       pg_get_userbyid(w.fdwowner)::text AS owner,
       nullif(w.fdwhandler, 0)::regprocedure::text AS handler,
       nullif(w.fdwvalidator, 0)::regprocedure::text AS validator,
       w.fdwoptions AS "foreign options",
       w.fdwacl::text[] AS acl, acldefault('F', w.fdwowner)::text[] AS "default acl"
  FROM pg_foreign_data_wrapper w
 WHERE {wanted}
