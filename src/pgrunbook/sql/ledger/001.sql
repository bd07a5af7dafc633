-- Version 1 of the ledger: which run applied which block. Rows are only ever added.
CREATE SCHEMA pgrunbook;
COMMENT ON SCHEMA pgrunbook IS 'Ledger of pgrunbook: which run applied which block. Append-only.';

CREATE TABLE pgrunbook.versions (
  version INTEGER PRIMARY KEY,
  installed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  installed_by TEXT NOT NULL DEFAULT session_user,
  tool_version TEXT NOT NULL
);
COMMENT ON TABLE pgrunbook.versions IS 'Versions of the ledger''s own schema, the highest one in force.';
COMMENT ON COLUMN pgrunbook.versions.version IS 'Number of the version, counted from 1.';
COMMENT ON COLUMN pgrunbook.versions.installed_at IS 'When it was installed.';
COMMENT ON COLUMN pgrunbook.versions.installed_by IS 'Database user who installed it.';
COMMENT ON COLUMN pgrunbook.versions.tool_version IS 'Version of pgrunbook that installed it.';

CREATE TABLE pgrunbook.runs (
  run_id UUID PRIMARY KEY,
  runbook TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  mode TEXT NOT NULL,
  operator TEXT NOT NULL,
  ticket TEXT NOT NULL,
  parameters JSONB NOT NULL,
  database_user TEXT NOT NULL DEFAULT session_user,
  server_version TEXT NOT NULL DEFAULT current_setting('server_version'),
  tool_version TEXT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.runs IS 'One row for each run that got as far as writing. Runs that were refused before leave none.';
COMMENT ON COLUMN pgrunbook.runs.run_id IS 'Identifies the run; part of its notebook''s file name.';
COMMENT ON COLUMN pgrunbook.runs.runbook IS 'Name of the runbook, such as 001_name.';
COMMENT ON COLUMN pgrunbook.runs.schema_name IS 'Schema that the run worked on.';
COMMENT ON COLUMN pgrunbook.runs.mode IS 'Mode of the run.';
COMMENT ON COLUMN pgrunbook.runs.operator IS 'Who ran it: the parameter, or the user of the operating system.';
COMMENT ON COLUMN pgrunbook.runs.ticket IS 'Ticket given as a parameter; empty if none.';
COMMENT ON COLUMN pgrunbook.runs.parameters IS 'All parameters of the run. Passwords are never parameters.';
COMMENT ON COLUMN pgrunbook.runs.database_user IS 'Database user of the session.';
COMMENT ON COLUMN pgrunbook.runs.server_version IS 'Version of the server.';
COMMENT ON COLUMN pgrunbook.runs.tool_version IS 'Version of pgrunbook.';
COMMENT ON COLUMN pgrunbook.runs.started_at IS 'When the run first wrote.';

CREATE TABLE pgrunbook.blocks (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  runbook TEXT NOT NULL,
  schema_name TEXT NOT NULL,
  block TEXT NOT NULL,
  revision INTEGER NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('applied', 'adopted')),
  reason TEXT NOT NULL,
  sql TEXT NOT NULL,
  source_sha256 TEXT NOT NULL,
  tree_sha256 TEXT NOT NULL,
  sql_sha256 TEXT NOT NULL,
  variants TEXT[] NOT NULL,
  facts JSONB NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (runbook, schema_name, block, revision)
);
COMMENT ON TABLE pgrunbook.blocks IS 'What happened to each block; a row commits together with the block''s DDL.';
COMMENT ON COLUMN pgrunbook.blocks.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.blocks.run_id IS 'Run that did it.';
COMMENT ON COLUMN pgrunbook.blocks.runbook IS 'Name of the runbook.';
COMMENT ON COLUMN pgrunbook.blocks.schema_name IS 'Schema that holds what the block made.';
COMMENT ON COLUMN pgrunbook.blocks.block IS 'Name of the block.';
COMMENT ON COLUMN pgrunbook.blocks.revision IS 'Number of rows of this block before this one: no two runs can write the same.';
COMMENT ON COLUMN pgrunbook.blocks.event IS 'applied: its DDL ran. adopted: its objects were there already, identical; nothing ran.';
COMMENT ON COLUMN pgrunbook.blocks.reason IS 'Why it was applied or adopted.';
COMMENT ON COLUMN pgrunbook.blocks.sql IS 'Exactly the SQL that ran; empty if none did.';
COMMENT ON COLUMN pgrunbook.blocks.source_sha256 IS 'SHA-256 of the file, or of the SHA-256 sums of its variants.';
COMMENT ON COLUMN pgrunbook.blocks.tree_sha256 IS 'SHA-256 of the parse tree, to which comments and white space do not count.';
COMMENT ON COLUMN pgrunbook.blocks.sql_sha256 IS 'SHA-256 of the whole block as rendered for this target.';
COMMENT ON COLUMN pgrunbook.blocks.variants IS 'Variants that were chosen for this target, in order; empty for a block without.';
COMMENT ON COLUMN pgrunbook.blocks.facts IS 'What the catalog said of the block''s objects when it was done: [kind, table, name, value].';
COMMENT ON COLUMN pgrunbook.blocks.started_at IS 'When its first statement was sent.';
COMMENT ON COLUMN pgrunbook.blocks.finished_at IS 'When its row was written, just before the commit.';

CREATE TABLE pgrunbook.verdicts (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id UUID NOT NULL REFERENCES pgrunbook.runs (run_id),
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL,
  ended_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE pgrunbook.verdicts IS 'How each run ended; the last row of a run counts. A run without one is at work, or died.';
COMMENT ON COLUMN pgrunbook.verdicts.id IS 'Order of the rows.';
COMMENT ON COLUMN pgrunbook.verdicts.run_id IS 'The run.';
COMMENT ON COLUMN pgrunbook.verdicts.verdict IS 'passed, failed, refused, interrupted or locked_out.';
COMMENT ON COLUMN pgrunbook.verdicts.reason IS 'One line on why.';
COMMENT ON COLUMN pgrunbook.verdicts.ended_at IS 'When the run ended.';
