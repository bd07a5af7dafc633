"""Sends a block's SQL, waits for its locks, and writes the evidence.

May use `planning` and what is below; never IPython. Start at `apply_blocks`: `Worker` applies the
blocks of a run, by one of three modules:

- `in_transaction`: a block commits with its ledger row, and is tried until it gets its locks. Its
  statements are one message (`one_message`), which takes their locks first (`footprint`).
- `outside_transaction`: statement by statement, each recorded before and after.
- `in_batches`: a backfill; each batch (`one_batch`) commits with a row of its own.

`lock_waits` retries what did not get its locks, `effects` reads what a block has changed, and
`Reporter` is told of all of it. What came of a block is an `Outcome`.
"""
