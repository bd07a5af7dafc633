-- Under which seals is the record of a run, as far as its archive's head was noted?
SELECT seal, sha256
  FROM pgrunbook.heads
 WHERE run_id OPERATOR(pg_catalog.=) %(run_id)s::pg_catalog.uuid
 ORDER BY id
