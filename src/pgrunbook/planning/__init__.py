"""Decides what to do with each block, and whether the target is ready. Reads only.

May use `admit` and what is below; never IPython. Start at `agenda`: `Agenda.decide` is what all of
this is for, and `decisions` has its rules.

- What the ledger expects and what exists: `expectation`, `ground`.
- Blocks that the ledger lacks: `twin` asks what they make, in a `twin_run`; `judgement` judges
  them, as far as `twin_limits` lets it; `by_hand` those that are said to be done.
- What a run needs of its target: `preflight`, `server_checks`, `requirements`,
  `statement_errors`, `refusals`.
- What may happen to others: `hazards`, `policy`; and who has to agree: `approval`.
- To revert: `reversion`, `losses`. Backfills: `batch_keys`, `keyset`, `estimates`.
"""
