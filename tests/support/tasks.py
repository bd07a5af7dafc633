"""What a fleet's worker may be given to do: in a module of its own, which its process can import."""

from __future__ import annotations

import os
import threading
import time


def say_who(*_: object) -> dict[str, object]:
    """Tell which process it is."""
    return {"pid": os.getpid()}


def leave_a_thread(*_: object) -> dict[str, object]:
    """The same, and leave a thread behind that a process would wait for at its end."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    return say_who()
