-- Which of these types are domains that a value, or NULL, may not be in?
-- printed for the schema
SELECT given.type
  FROM unnest(%(types)s::text[]) AS given (type)
  JOIN pg_type t ON t.oid = to_regtype(given.type)
 WHERE t.typtype = 'd'
   AND (t.typnotnull OR EXISTS (SELECT FROM pg_constraint WHERE contypid = t.oid))
