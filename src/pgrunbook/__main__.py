"""`python -m pgrunbook` is the command `pgrunbook`."""

from pgrunbook.cli.main import main

main()
