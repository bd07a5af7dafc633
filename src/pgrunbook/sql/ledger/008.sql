-- Version 8 of the ledger: a pause of a backfill is there while it lasts.
ALTER TABLE pgrunbook.pauses ALTER COLUMN ended_at DROP NOT NULL;
COMMENT ON TABLE pgrunbook.pauses IS 'When a backfill paused between two batches, and to what it gave way. A pause has a row when it begins, one for each reason that comes later, and one when it has ended.';
COMMENT ON COLUMN pgrunbook.pauses.ended_at IS 'When it ended; NULL in a row that was written while it lasted.';
COMMENT ON COLUMN pgrunbook.pauses.lag_s IS 'How many seconds the slowest replica was behind at most meanwhile; NULL if there was none, or the role was not shown it.';
COMMENT ON COLUMN pgrunbook.batches.lag_s IS 'How many seconds the slowest replica was behind before it; NULL if there was none, or the role was not shown it.';
COMMENT ON COLUMN pgrunbook.batches.attempts IS 'How many attempts it took: others held its locks, or waited for it, so that it was left; or it was a deadlock or a serialization failure.';
COMMENT ON COLUMN pgrunbook.batches.waited_for IS 'Sessions that were in the way of the attempts, as in attempts, and those for which one was left.';
