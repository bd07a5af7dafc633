"""What the runner does about SIGINT and SIGTERM. Python lets only the main thread decide; elsewhere nothing is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


def handle(handler: Any) -> None:
    """Have both handled so, from here on: what `signal.signal` takes."""
    _set(dict.fromkeys(_NUMBERS, handler))


def ignore() -> None:
    """Ignore both. From here on only the end is written, which is a matter of seconds, and must not be left out."""
    handle(signal.SIG_IGN)


@contextmanager
def as_before() -> Iterator[None]:
    """Whatever is done about them in the `with` block."""
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    try:
        yield
    finally:
        _set(before)


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
