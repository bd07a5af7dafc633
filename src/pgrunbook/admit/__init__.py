"""Lets a column accept one more value, whatever constrains it now.

May use `ledger` and what is below. Start at `admission`. Others use:

- `admission` (`inspect`, `find_column`): what constrains a column, and what stands in the way
- `columns` (`Columns`): the columns of a run, and their blocks; `variants`: how they are made
"""
