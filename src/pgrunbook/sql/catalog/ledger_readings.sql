-- Which expected objects of a schema were read anew, after which row of blocks, and by which major version of the server?
SELECT id, run_id::text AS run_id, reason, server_version, after_block, definitions
  FROM pgrunbook.readings
 WHERE schema_name = %(schema)s
 ORDER BY id
