-- Which subscriptions does this database have? Only a superuser may see how they connect.
-- of pg_subscription: s.oid
SELECT s.oid, 0, NULL, 'subscription', quote_ident(s.subname),
       pg_get_userbyid(s.subowner)::text AS owner,
       s.subconninfo AS connection,
       s.subpublications AS publications,
       to_jsonb(s) - '{oid,subdbid,subname,subowner,subconninfo,subpublications,subskiplsn}'::text[] AS options
  FROM pg_subscription s
 WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {wanted}
