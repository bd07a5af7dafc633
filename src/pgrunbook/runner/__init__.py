"""Executes a notebook with papermill, and sees to it that its record is true.

Knows no DDL, and never imports `run`: that is what the kernel does. Start at `run_notebook`;
`engine` is what papermill itself calls.
"""
