"""Seals, checks, reads and shows executed notebooks.

May use `ledger` and what is below. Start at `sealing` for how a record is made, at `record` for how
it is read.
"""
