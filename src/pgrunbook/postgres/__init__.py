"""Sessions on a server, locks, catalog queries, the embedded server, copies of a schema. Knows no
runbook.

May use `sqltext` and `secrets`. Start at `connection`. Others use:

- `connection` (`connect`), `run_sessions` (`Sessions`): how sessions are opened; `session`
  (`Session`): what they can, and how long they wait
- `catalog` (`rows`, `frame`): the named queries of `sql/catalog/`; `search_path`: where names are
  looked up
- `run_locks`, `locks`, `blockers`, `lockers`: our advisory locks; the locks of a block; who is in
  the way of it, and of the ledger
- `target` (`Target`), `trust`, `durability`, `pressure`, `driver_errors`
- `embedded` (`start`): servers of our own; `schema_copy` and `twin_server`: copies of a schema on
  them
"""
