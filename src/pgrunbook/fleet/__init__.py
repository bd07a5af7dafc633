"""Runs one runbook against many targets, in waves; nothing here changes a database itself.

May use `runner` and what is below, not `run`. Start at `coordinator`: it takes targets wave by
wave, gives each to an executor as a `task`, and asks the target's ledger what came of it
(`outcome`).

- Which targets there are, and in which wave: `targets`, `waves`; by `settings`. How many at once:
  `concurrency`.
- What has happened is in the `journal`, as `events`; where the run stands, by that: `state`. Its
  `record` is sealed with the journal.
- `runs` begins and resumes a run; `signature` signs what it was begun with.
- `survey` asks all targets, `plans` compares their plans, and `approval` checks who has approved
  them.
"""
