-- Which event triggers does a change of the schema set off, and whose code do they run?
SELECT e.evtname::text AS name,
       e.evtevent::text AS event,
       pg_get_userbyid(e.evtowner)::text AS owner,
       format('%%I.%%I()', n.nspname, p.proname) AS function,
       pg_get_userbyid(p.proowner)::text AS function_owner
  FROM pg_event_trigger e
  JOIN pg_proc p ON p.oid = e.evtfoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE e.evtenabled IN ('O', 'A')
   AND e.evtevent <> 'login' -- of version 17: it was set off when we came
 ORDER BY e.evtname
