"""One runbook against many targets, in waves; nothing here changes a database itself.

May use `runner` and what lies below. Start at `coordinator`: it takes targets wave by wave, gives
each to an executor as a `task`, and asks the target's ledger what came of it.
"""
