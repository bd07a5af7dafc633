-- Version 4 of the ledger: blocks that were reverted, and what it takes to revert one; the plan that a run worked by.
ALTER TABLE pgrunbook.blocks
  DROP CONSTRAINT blocks_event_check,
  ADD CONSTRAINT blocks_event_check
    CHECK (event IN ('started', 'applied', 'adopted', 'reverting', 'reverted')),
  ADD COLUMN variables JSONB,
  ADD COLUMN kept JSONB;
COMMENT ON COLUMN pgrunbook.blocks.event IS
  'applied: its DDL ran. adopted: its objects were there already, identical; nothing ran. reverted: its revert script ran, and what it had made is gone. started, reverting: a block outside a transaction began; the catalog says how far it came, until another row says applied or reverted.';
COMMENT ON COLUMN pgrunbook.blocks.variables IS 'What the placeholders of each of its variants were filled with, so that it can be reverted.';
COMMENT ON COLUMN pgrunbook.blocks.kept IS 'What of its objects was there before it was applied, and stays if it is reverted: [kind, table, name].';

ALTER TABLE pgrunbook.runs ADD COLUMN plan TEXT NOT NULL DEFAULT '';
COMMENT ON COLUMN pgrunbook.runs.plan IS 'SHA-256 of the plan that the run worked by; empty for runs of before version 4.';
