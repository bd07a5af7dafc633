"""What the cells of a notebook call, and how it looks.

The only room that knows IPython and how pandas displays. Start at `run`: its methods are the cells,
from top to bottom.
"""
