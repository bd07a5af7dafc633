"""Decides what to do with each block, and whether the target is ready. Reads only.

May use `admit` and what is below. Start at `agenda`; `decisions` has the rules.
"""
