"""Sends a block's SQL, waits for its locks, and writes the evidence.

May use `planning` and what is below. Start at `apply_blocks`; `in_transaction` and
`outside_transaction` are the two ways of a block.
"""
