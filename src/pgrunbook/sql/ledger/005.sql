-- Version 5 of the ledger: the server that it was written on, as copies of the server have copies of the ledger.
CREATE TABLE pgrunbook.servers (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event TEXT NOT NULL CHECK (event IN ('first', 'seen', 'copied', 'confirmed')),
  system_identifier TEXT NOT NULL,
  database_oid BIGINT NOT NULL,
  timeline BIGINT,
  address TEXT NOT NULL,
  data_directory TEXT,
  branch TEXT,
  server_started_at TIMESTAMPTZ NOT NULL,
  target TEXT NOT NULL,
  operator TEXT NOT NULL,
  reason TEXT NOT NULL,
  noted_by TEXT NOT NULL DEFAULT session_user,
  noted_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.servers IS 'Servers that the ledger was written on, each as runs have found it: the last row that is not seen, and those after it, are of the one in force.';
COMMENT ON COLUMN pgrunbook.servers.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.servers.event IS
  'first: the ledger named no server. seen: the same server as the row before, started anew, or reached at another address. copied: a run went on, on another server than before, that nobody had confirmed: the copy goes its own way. confirmed: somebody said that this server takes the place of the one before.';
COMMENT ON COLUMN pgrunbook.servers.system_identifier IS 'Of pg_control_system(): physical copies share it.';
COMMENT ON COLUMN pgrunbook.servers.database_oid IS 'OID of the database: a copy made with CREATE DATABASE ... TEMPLATE has another one.';
COMMENT ON COLUMN pgrunbook.servers.timeline IS 'Timeline of its WAL: promotion and recovery from an archive begin another one. NULL if the server does not say, as Aurora does not.';
COMMENT ON COLUMN pgrunbook.servers.address IS 'Address and port where the server took the connection; of a Unix-domain socket or a tunnel, where it begins and on which host.';
COMMENT ON COLUMN pgrunbook.servers.data_directory IS 'Its data directory; NULL if the role was not shown it (pg_read_all_settings).';
COMMENT ON COLUMN pgrunbook.servers.branch IS 'Branch of a hosted server that names it (neon.timeline_id); else NULL.';
COMMENT ON COLUMN pgrunbook.servers.server_started_at IS 'When the server was started: of pg_postmaster_start_time(), which no other server has.';
COMMENT ON COLUMN pgrunbook.servers.target IS 'Name of the target by which it was reached.';
COMMENT ON COLUMN pgrunbook.servers.operator IS 'Who ran what wrote the row.';
COMMENT ON COLUMN pgrunbook.servers.reason IS 'The run that wrote the row, or why it was confirmed.';
COMMENT ON COLUMN pgrunbook.servers.noted_by IS 'Database user of the session.';
COMMENT ON COLUMN pgrunbook.servers.noted_at IS 'When the row was written.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.servers
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON pgrunbook.servers FROM PUBLIC, CURRENT_USER;
