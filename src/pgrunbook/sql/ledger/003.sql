-- Version 3 of the ledger: the heads of the archives that hold the runs' records.
CREATE TABLE pgrunbook.heads (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  archive TEXT NOT NULL CHECK (archive ~ '^[0-9a-f]{64}$'),
  sequence BIGINT NOT NULL CHECK (sequence > 0),
  seal TEXT NOT NULL,
  sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  sealed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.heads IS 'The seal of each run''s record, when it was the last of its archive: an archive that lacks it was cut off or changed.';
COMMENT ON COLUMN pgrunbook.heads.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.heads.run_id IS 'Run whose record was sealed.';
COMMENT ON COLUMN pgrunbook.heads.archive IS 'Which archive: SHA-256 of the first seal in it.';
COMMENT ON COLUMN pgrunbook.heads.sequence IS 'Number of the seal in its archive, counted from 1.';
COMMENT ON COLUMN pgrunbook.heads.seal IS 'File of the seal, from the root of the archive on.';
COMMENT ON COLUMN pgrunbook.heads.sha256 IS 'SHA-256 of that file.';
COMMENT ON COLUMN pgrunbook.heads.sealed_at IS 'When the row was written.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pgrunbook.heads
  FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON pgrunbook.heads FROM PUBLIC, CURRENT_USER;
