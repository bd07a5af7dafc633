-- How many relations has the database, about? The planner's estimate of the catalog's rows, as counting them takes long.
SELECT greatest(reltuples, 0)::bigint AS count FROM pg_class WHERE oid = 'pg_class'::regclass
