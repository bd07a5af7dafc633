"""What the cells of a runbook use, imported while their kernel starts; a kernel is told to import this first.

Imports leave next to no garbage, and looking for it among all that they make takes a quarter of their time.
"""

import gc

gc.disable()
try:
    import pgrunbook.run  # noqa: F401
finally:
    gc.freeze()  # it stays to the end: no need to look at it again
    gc.enable()
