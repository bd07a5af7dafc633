-- Version 7 of the ledger: what was asked of a run from elsewhere while it was at work.
CREATE TABLE pgrunbook.requests (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  what TEXT NOT NULL CHECK (what IN ('pause', 'resume', 'stop')),
  reason TEXT NOT NULL,
  operator TEXT NOT NULL,
  host TEXT NOT NULL,
  database_user TEXT NOT NULL DEFAULT session_user,
  asked_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.requests IS 'What somebody asked of a run at work; it obeys the last row between two batches.';
COMMENT ON COLUMN pgrunbook.requests.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.requests.run_id IS 'Run that is to obey.';
COMMENT ON COLUMN pgrunbook.requests.what IS 'pause: wait before the next batch. resume: go on. stop: end; the next run goes on.';
COMMENT ON COLUMN pgrunbook.requests.reason IS 'Why; empty if nobody has said.';
COMMENT ON COLUMN pgrunbook.requests.operator IS 'Who asked: the option, or the user of the operating system.';
COMMENT ON COLUMN pgrunbook.requests.host IS 'Machine on which it was asked.';
COMMENT ON COLUMN pgrunbook.requests.database_user IS 'Database user of the session.';
COMMENT ON COLUMN pgrunbook.requests.asked_at IS 'When the row was written.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.requests
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON pgrunbook.requests FROM PUBLIC, CURRENT_USER;
