-- From which of these catalogs has the session's transaction deleted rows? From all of them, for all we know, if they are not counted.
SELECT name AS relname
  FROM unnest({catalogs}::text[]) AS name
 WHERE NOT current_setting('track_counts')::boolean OR pg_stat_get_xact_tuples_deleted(name::regclass) > 0
