"""Executes a notebook with papermill, and sees to it that its record is true.

May use what is below `run`. Knows no DDL, and never imports `run`: that is what the kernel
does. Start at `run_notebook`; `engine` is what papermill itself calls.

- `kernels` starts the kernel, `client` runs the cells in it, `output_limits` bounds what they
  show, and `executed_notebook` saves the notebook after each.
- `ask_ledger` asks what was committed if the notebook does not say it.
- `warm` runs a notebook in this process against many targets, one after the other; `leftovers` puts
  back what its cells have changed here.
"""
