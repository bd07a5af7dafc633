"""What the cells of a runbook use, imported while their kernel starts; a kernel is told to import this first."""

from pgrunbook import garbage

with garbage.ignored():
    import pgrunbook.run  # noqa: F401
