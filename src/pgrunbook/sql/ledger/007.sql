-- Version 7 of the ledger: blocks that run in batches, each batch with the rows that it commits; and what was asked of a run.
CREATE TABLE pgrunbook.backfills (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  runbook TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  block TEXT NOT NULL,
  revision INTEGER NOT NULL,
  tree_sha256 TEXT NOT NULL,
  table_name TEXT NOT NULL,
  table_oid OID NOT NULL,
  key_columns TEXT[] NOT NULL,
  upper_bound TEXT[],
  estimated_rows BIGINT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (runbook, schema_name, block, revision)
);
COMMENT ON TABLE pgrunbook.backfills IS 'One row for each time that a block in batches began, or its revert did; it commits with the row of blocks that says so.';
COMMENT ON COLUMN pgrunbook.backfills.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.backfills.run_id IS 'Run that began it; later runs may go on.';
COMMENT ON COLUMN pgrunbook.backfills.runbook IS 'Name of the runbook.';
COMMENT ON COLUMN pgrunbook.backfills.schema_name IS 'Schema that the run worked on.';
COMMENT ON COLUMN pgrunbook.backfills.block IS 'Name of the block.';
COMMENT ON COLUMN pgrunbook.backfills.revision IS 'Revision of the row of blocks, started or reverting, that it belongs to.';
COMMENT ON COLUMN pgrunbook.backfills.tree_sha256 IS 'SHA-256 of the parse tree of the file that is run, of the revert script for a revert: with another one, no run goes on.';
COMMENT ON COLUMN pgrunbook.backfills.table_name IS 'Table whose key the batches are cut by, with its schema.';
COMMENT ON COLUMN pgrunbook.backfills.table_oid IS 'OID of the table: another one of that name is another table.';
COMMENT ON COLUMN pgrunbook.backfills.key_columns IS 'Columns of that key, in order.';
COMMENT ON COLUMN pgrunbook.backfills.upper_bound IS 'Greatest key when it began, as text, one value for each column: rows that were written later are not its business. NULL if the table was empty.';
COMMENT ON COLUMN pgrunbook.backfills.estimated_rows IS 'How many rows the planner took the table to have when it began; -1 if it did not know.';
COMMENT ON COLUMN pgrunbook.backfills.started_at IS 'When it began.';

CREATE TABLE pgrunbook.batches (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  backfill BIGINT NOT NULL REFERENCES pgrunbook.backfills (id),
  number INTEGER NOT NULL,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  from_key TEXT[],
  to_key TEXT[] NOT NULL,
  keys BIGINT NOT NULL,
  rows BIGINT NOT NULL,
  rows_written JSONB NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  elapsed_ms DOUBLE PRECISION NOT NULL,
  wal_bytes BIGINT NOT NULL,
  lag_s DOUBLE PRECISION,
  attempts INTEGER NOT NULL,
  waited_for JSONB NOT NULL,
  finished_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (backfill, number)
);
COMMENT ON TABLE pgrunbook.batches IS 'Each batch of a backfill; a row commits together with the rows of the batch.';
COMMENT ON COLUMN pgrunbook.batches.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.batches.backfill IS 'The backfill, as in backfills.';
COMMENT ON COLUMN pgrunbook.batches.number IS 'Which batch of it, counted from 1: no two runs can write the same.';
COMMENT ON COLUMN pgrunbook.batches.run_id IS 'Run that did it.';
COMMENT ON COLUMN pgrunbook.batches.from_key IS 'The key behind which it began, as text, one value for each column; NULL for the first batch, which began with the least key.';
COMMENT ON COLUMN pgrunbook.batches.to_key IS 'The last key of it.';
COMMENT ON COLUMN pgrunbook.batches.keys IS 'How many keys there were between the two.';
COMMENT ON COLUMN pgrunbook.batches.rows IS 'How many rows its statement changed, as the server said.';
COMMENT ON COLUMN pgrunbook.batches.rows_written IS 'How many rows of which table were written, as in blocks: what triggers and functions wrote is among them.';
COMMENT ON COLUMN pgrunbook.batches.started_at IS 'When its transaction began.';
COMMENT ON COLUMN pgrunbook.batches.elapsed_ms IS 'How long its statement took, in milliseconds.';
COMMENT ON COLUMN pgrunbook.batches.wal_bytes IS 'How much WAL the server wrote meanwhile, that of others included.';
COMMENT ON COLUMN pgrunbook.batches.lag_s IS 'How many seconds the slowest replica was behind before it; NULL if there was none, or the role was not shown it.';
COMMENT ON COLUMN pgrunbook.batches.attempts IS 'How many attempts it took: others held its locks, or waited for it, so that it was left; or it was a deadlock or a serialization failure.';
COMMENT ON COLUMN pgrunbook.batches.waited_for IS 'Sessions that were in the way of the attempts, as in attempts, and those for which one was left.';
COMMENT ON COLUMN pgrunbook.batches.finished_at IS 'When its row was written, just before the commit.';

CREATE TABLE pgrunbook.skipped_rows (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  backfill BIGINT NOT NULL REFERENCES pgrunbook.backfills (id),
  number INTEGER NOT NULL,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  key TEXT[] NOT NULL,
  sqlstate TEXT NOT NULL,
  table_name TEXT NOT NULL,
  constraint_name TEXT NOT NULL,
  noted_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.skipped_rows IS 'Rows that a backfill has put aside, as they break a constraint; nothing was changed for them.';
COMMENT ON COLUMN pgrunbook.skipped_rows.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.skipped_rows.backfill IS 'The backfill, as in backfills.';
COMMENT ON COLUMN pgrunbook.skipped_rows.number IS 'The batch that holds this row and no other.';
COMMENT ON COLUMN pgrunbook.skipped_rows.run_id IS 'Run that put it aside.';
COMMENT ON COLUMN pgrunbook.skipped_rows.key IS 'Key of the row, as text, one value for each column.';
COMMENT ON COLUMN pgrunbook.skipped_rows.sqlstate IS 'What the server said of it, without its values: 23514 is a broken CHECK.';
COMMENT ON COLUMN pgrunbook.skipped_rows.table_name IS 'Table that has the constraint, with its schema; empty if the server did not say.';
COMMENT ON COLUMN pgrunbook.skipped_rows.constraint_name IS 'The constraint, or the column that may not be NULL; empty if the server did not say.';
COMMENT ON COLUMN pgrunbook.skipped_rows.noted_at IS 'When the row was written.';

CREATE TABLE pgrunbook.pauses (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  backfill BIGINT NOT NULL REFERENCES pgrunbook.backfills (id),
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  began_at TIMESTAMPTZ NOT NULL,
  ended_at TIMESTAMPTZ,
  lag_s DOUBLE PRECISION,
  reasons TEXT[] NOT NULL
);
COMMENT ON TABLE pgrunbook.pauses IS 'When a backfill paused between two batches, and to what it gave way. A pause has a row when it begins, one for each reason that comes later, and one when it has ended.';
COMMENT ON COLUMN pgrunbook.pauses.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.pauses.backfill IS 'The backfill, as in backfills.';
COMMENT ON COLUMN pgrunbook.pauses.run_id IS 'Run that paused.';
COMMENT ON COLUMN pgrunbook.pauses.began_at IS 'When the pause began.';
COMMENT ON COLUMN pgrunbook.pauses.ended_at IS 'When it ended; NULL in a row that was written while it lasted.';
COMMENT ON COLUMN pgrunbook.pauses.lag_s IS 'How many seconds the slowest replica was behind at most meanwhile; NULL if there was none, or the role was not shown it.';
COMMENT ON COLUMN pgrunbook.pauses.reasons IS 'Why, in words.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.backfills
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.batches
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.skipped_rows
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.pauses
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON pgrunbook.backfills, pgrunbook.batches, pgrunbook.skipped_rows, pgrunbook.pauses
  FROM PUBLIC, CURRENT_USER;
GRANT UPDATE (id) ON pgrunbook.backfills TO CURRENT_USER; -- foreign keys lock the row that they refer to

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
