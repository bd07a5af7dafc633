"""`python -m pgrunbook` is the command `pgrunbook`."""

from pgrunbook.cli import main

main()
