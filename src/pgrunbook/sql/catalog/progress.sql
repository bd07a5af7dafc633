-- How far has a session come with building an index?
SELECT phase,
       CASE WHEN phase LIKE 'waiting%%' THEN lockers_done WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END AS done,
       CASE WHEN phase LIKE 'waiting%%' THEN lockers_total WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END AS total
  FROM pg_stat_progress_create_index
 WHERE pid = %(pid)s
