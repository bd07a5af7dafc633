"""The commands of `pgrunbook`, and nothing else.

May use every other room. Start at `main`.
"""
