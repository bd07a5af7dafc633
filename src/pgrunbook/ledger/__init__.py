"""The append-only tables in the target that say which run did what.

May use `runbooks` and what is below. Start at `ledger`.
"""
