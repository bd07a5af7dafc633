-- From which of these catalogs has the session's transaction deleted how many rows? From all of them, for all we know, if they
-- are not counted.
SELECT name::text AS relname,
       CASE WHEN current_setting('track_counts')::boolean THEN pg_stat_get_xact_tuples_deleted(name) END AS rows
  FROM unnest({catalogs}) AS name
 WHERE NOT current_setting('track_counts')::boolean OR pg_stat_get_xact_tuples_deleted(name) > 0
