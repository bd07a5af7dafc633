"""The append-only tables in the target that say which run did what.

May use `runbooks` and what is below. Start at `ledger`. Others use:

- `ledger`: what is read of runs and blocks; `batches`: of blocks in batches; `requests`: what a run
  at work was asked; `heads`: where archives end
- `write`: the rows that are added; `run_rows` (`Recorder`): those of a run about itself;
  `install` (`install`): the tables; `versions`: what which of their versions has
- `fold` (`read_fold`): what is expected to be there; `drift` (`find_drift`): what is not so
- `server_match` (`ServerMatch`): whether the server is the one that the ledger was written on
"""
