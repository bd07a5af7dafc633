-- What time is it, in seconds, and which relations were there before: those up to which OID? Of relations made since, some
-- may have a lower one, where OIDs have started anew.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now, max(oid)::bigint AS last FROM pg_class
