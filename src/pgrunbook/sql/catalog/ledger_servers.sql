-- On which server was the ledger written, and as what have runs found it since? The row that began it first.
SELECT event, system_identifier, database_oid, timeline, address, data_directory, branch, server_started_at
  FROM pgrunbook.servers
 WHERE id >= (SELECT max(id) FROM pgrunbook.servers WHERE event <> 'seen')
 ORDER BY id
