-- Version 2 of the ledger: statements, locks and attempts, blocks that have only started, and a guard against changes.
ALTER TABLE pgrunbook.blocks
  DROP CONSTRAINT blocks_event_check,
  ADD CONSTRAINT blocks_event_check CHECK (event IN ('started', 'applied', 'adopted'));
COMMENT ON COLUMN pgrunbook.blocks.event IS
  'applied: its DDL ran. adopted: its objects were there already, identical; nothing ran. started: a block outside a transaction began; the catalog says how far it came, until another row says applied.';

CREATE TABLE pgrunbook.statements (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  block TEXT NOT NULL,
  number INTEGER NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('started', 'finished')),
  sql TEXT NOT NULL,
  elapsed_ms DOUBLE PRECISION CHECK ((event = 'finished') = (elapsed_ms IS NOT NULL)),
  at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.statements IS 'Each statement of a block that ran. Those of a block in a transaction commit with it.';
COMMENT ON COLUMN pgrunbook.statements.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.statements.run_id IS 'Run that sent it.';
COMMENT ON COLUMN pgrunbook.statements.block IS 'Name of the block.';
COMMENT ON COLUMN pgrunbook.statements.number IS 'Which statement of those that the run sent for the block, counted from 1.';
COMMENT ON COLUMN pgrunbook.statements.event IS 'finished: it succeeded. started: outside a transaction, before it was sent; without a finished row it failed, or its run died.';
COMMENT ON COLUMN pgrunbook.statements.sql IS 'The statement as it was sent.';
COMMENT ON COLUMN pgrunbook.statements.elapsed_ms IS 'How long it took, in milliseconds, waiting for its locks included.';
COMMENT ON COLUMN pgrunbook.statements.at IS 'When the row was written.';

CREATE TABLE pgrunbook.locks (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  block TEXT NOT NULL,
  number INTEGER NOT NULL,
  relation TEXT NOT NULL,
  mode TEXT NOT NULL,
  held_ms DOUBLE PRECISION NOT NULL,
  rewritten BOOLEAN NOT NULL
);
COMMENT ON TABLE pgrunbook.locks IS 'Locks that the statements of a block took on relations that existed before.';
COMMENT ON COLUMN pgrunbook.locks.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.locks.run_id IS 'Run that held it.';
COMMENT ON COLUMN pgrunbook.locks.block IS 'Name of the block.';
COMMENT ON COLUMN pgrunbook.locks.number IS 'Statement that took it, as in statements.';
COMMENT ON COLUMN pgrunbook.locks.relation IS 'Table, index or sequence that was locked.';
COMMENT ON COLUMN pgrunbook.locks.mode IS 'Lock mode, as LOCK TABLE writes it.';
COMMENT ON COLUMN pgrunbook.locks.held_ms IS 'For how long at most, in milliseconds: from sending the statement, so the wait for it is included, to writing this row, just before the commit.';
COMMENT ON COLUMN pgrunbook.locks.rewritten IS 'Whether the block wrote the relation anew, as a whole.';

CREATE TABLE pgrunbook.attempts (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  block TEXT NOT NULL,
  number INTEGER NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  waited_ms DOUBLE PRECISION NOT NULL,
  got_locks BOOLEAN NOT NULL,
  blockers JSONB NOT NULL
);
COMMENT ON TABLE pgrunbook.attempts IS 'Attempts of a block that did not get its locks at once, the successful one at the end included.';
COMMENT ON COLUMN pgrunbook.attempts.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.attempts.run_id IS 'Run that tried.';
COMMENT ON COLUMN pgrunbook.attempts.block IS 'Name of the block.';
COMMENT ON COLUMN pgrunbook.attempts.number IS 'Which attempt of the run at this block, counted from 1.';
COMMENT ON COLUMN pgrunbook.attempts.started_at IS 'When it began.';
COMMENT ON COLUMN pgrunbook.attempts.waited_ms IS 'How long it lasted, in milliseconds.';
COMMENT ON COLUMN pgrunbook.attempts.got_locks IS 'Whether it got its locks.';
COMMENT ON COLUMN pgrunbook.attempts.blockers IS 'Sessions that were in the way: pid, application, role, state, transaction_s, lock, query (cut, without literals).';

-- Rows are added and never changed: by privilege, which even the owner gives up, and by trigger, for who has it anyway.
CREATE FUNCTION pgrunbook.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: % on %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION pgrunbook.refuse_change() IS 'Refuses to change or remove a row of the ledger.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.versions
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.runs
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.blocks
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.statements
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.locks
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.attempts
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.verdicts
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA pgrunbook FROM PUBLIC, CURRENT_USER;
GRANT UPDATE (run_id) ON pgrunbook.runs TO CURRENT_USER; -- foreign keys lock the row that they refer to
