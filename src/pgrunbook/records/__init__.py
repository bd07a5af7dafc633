"""Seals, checks, reads and shows executed notebooks.

May use `ledger` and what is below. Start at `format.parts` for what a record says, at `sealing` for
how it is made, at `record` for how it is read.
"""
