-- Which event triggers are there?
-- of pg_event_trigger: e.oid
SELECT e.oid, 0, NULL, 'event trigger', quote_ident(e.evtname),
       pg_get_userbyid(e.evtowner)::text AS owner,
       e.evtevent::text AS event,
       e.evttags AS tags,
       e.evtfoid::regprocedure::text AS function,
       CASE e.evtenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END AS enabled
  FROM pg_event_trigger e
 WHERE {wanted}
