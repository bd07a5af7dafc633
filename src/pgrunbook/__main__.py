"""`pgrunbook`, and `python -m pgrunbook`: the command line, with an end in order for a signal that
comes before a command is begun, or while the interpreter exits.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 3
_MESSAGE = "Stopped by a signal, before anything was begun."


def main() -> None:
    """Run the command line."""
    _handle(_stop)
    _open_streams()
    from pgrunbook.cli.main import main as command

    try:
        command()  # which handles them by itself once it has read its command line
    finally:
        _handle(signal.SIG_IGN)  # all is said, the exit code too


def _open_streams() -> None:
    """Open what was closed when we were started, of the three that a kernel inherits: it ends
    without one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the least that is free is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _handle(handler: Any) -> None:
    for number in _NUMBERS:
        signal.signal(number, handler)


def _stop(*_: object) -> None:
    """End as the command line does, of which nothing may be there yet: not even its imports."""
    _handle(signal.SIG_IGN)
    if "--json" in sys.argv:
        told = f'{{"verdict": "interrupted", "message": "{_MESSAGE}", "problems": []}}'
        if sys.argv[1:2] == ["run"]:  # which tells of each runbook, in an array
            told = f"[{told}]"
        os.write(1, f"{told}\n".encode())
    os.write(2, f"INTERRUPTED: {_MESSAGE}\n".encode())
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
