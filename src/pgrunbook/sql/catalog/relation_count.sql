-- How many relations has the database, about, and the schema? The first is the planner's estimate, as counting them takes long.
SELECT greatest(c.reltuples, 0)::bigint AS in_all,
       (SELECT count(*) FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace
         WHERE n.nspname = %(schema)s) AS in_schema
  FROM pg_class AS c WHERE c.oid = 'pg_class'::regclass
