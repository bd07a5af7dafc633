-- Version 6 of the ledger: what each block really changed; and what is expected to be there, read anew.
ALTER TABLE pgrunbook.blocks ADD COLUMN effect JSONB, ADD COLUMN rows_written JSONB;
COMMENT ON COLUMN pgrunbook.blocks.effect IS
  'What the block changed: [type, identity, before, after, part of] for each object, each definition as the server prints it, null where the object is not there. NULL for blocks of before version 6.';
COMMENT ON COLUMN pgrunbook.blocks.rows_written IS
  'How many rows the block has written, as the server counted them: relation, inserted, updated, deleted for each table. NULL for blocks of before version 6 and outside a transaction.';

CREATE TABLE pgrunbook.readings (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  schema_name TEXT NOT NULL,
  reason TEXT NOT NULL,
  server_version INTEGER NOT NULL,
  after_block BIGINT NOT NULL,
  definitions JSONB NOT NULL,
  noted_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.readings IS 'Definitions of expected objects that were read anew: another major version of the server may print them differently, and a ledger of before version 6 has none.';
COMMENT ON COLUMN pgrunbook.readings.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.readings.run_id IS 'Run that read them.';
COMMENT ON COLUMN pgrunbook.readings.schema_name IS 'Schema that the run worked on.';
COMMENT ON COLUMN pgrunbook.readings.reason IS 'Why they were read.';
COMMENT ON COLUMN pgrunbook.readings.server_version IS 'Major version of the server that printed them.';
COMMENT ON COLUMN pgrunbook.readings.after_block IS 'Last row of blocks that they take account of.';
COMMENT ON COLUMN pgrunbook.readings.definitions IS '[type, identity, definition] for each object.';
COMMENT ON COLUMN pgrunbook.readings.noted_at IS 'When the row was written.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.readings
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON pgrunbook.readings FROM PUBLIC, CURRENT_USER;
