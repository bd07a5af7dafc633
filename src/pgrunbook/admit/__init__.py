"""Lets a column accept one more value, whatever constrains it now.

May use `ledger` and what is below. Start at `admission`.
"""
