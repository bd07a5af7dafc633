"""The commands of `pgrunbook`, and nothing else: what they ask of other packages, and print.

May use every other package. Start at `main`, which has the small commands and lists the others;
`commands` has what all share: the options, the documents of `--json`, and what becomes of an error.
"""
