-- How many relations has the database, about, the schema, and the schema with these others? The first is the planner's
-- estimate, as counting them takes long.
SELECT greatest(c.reltuples, 0)::bigint AS in_all, counted.in_schema, counted.in_schemas
  FROM pg_class AS c,
       (SELECT count(*) FILTER (WHERE n.nspname = %(schema)s) AS in_schema, count(*) AS in_schemas
          FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace
         WHERE n.nspname = %(schema)s OR n.nspname = ANY (%(others)s::text[])) AS counted
 WHERE c.oid = 'pg_class'::regclass
