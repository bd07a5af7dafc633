"""The commands of `pgrunbook`: each calls other packages, and prints what came of it.

May use every other package. Start at `main`, which has the small commands and lists the others;
`commands` has what all share: options, the documents of `--json`, and how an error is shown.

Commands import what they need when they are called: `pgrunbook --help`, and every command that
needs no pandas or SQLAlchemy, answers at once.
"""
