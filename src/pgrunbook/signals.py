"""What the runner does about SIGINT and SIGTERM. Python lets only the main thread decide; elsewhere
nothing is done.

The first one stops the run. The second one hurries: who waits for the target is broken off, the
record is written as far as it is known, and some seconds later the process ends whatever it is at.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)

# How long a cell that was told to stop may take to roll back, before its process is killed.
STOPPING_S = 4.0
# From the second signal to the end of a run's process, at the latest.
ENDING_S = 4.5
# The exit code. The executed notebook on the disk is the one that was written last.
_INTERRUPTED = 3


class Hurried(KeyboardInterrupt):
    """Broken off by a second signal."""


@dataclass
class _Received:
    """The signals of a run so far."""

    count: int = 0
    waiting: bool = False  # for somebody else, which can be broken off
    ending_s: float = ENDING_S
    # ends the process, whatever it is at
    last: threading.Timer | None = None

    def note_one(self) -> None:
        """Count one; the second one starts the clock, once."""
        self.count += 1
        if self.count > 1 and self.last is None:
            self.last = threading.Timer(self.ending_s, os._exit, [_INTERRUPTED])
            self.last.daemon = True
            self.last.start()


_received = _Received()


def handle(handler: Callable[..., object], *, ending_s: float = ENDING_S) -> None:
    """Have both handled so, from here on: what `signal.signal` calls. After a second one the
    process ends in so many seconds.
    """
    _received.ending_s = ending_s

    def receive(*arguments: Any) -> None:
        _received.note_one()
        handler(*arguments)

    _set(dict.fromkeys(_NUMBERS, receive))


def note(*, ending_s: float = ENDING_S) -> None:
    """Break nothing off for a first signal: who is at work asks `stopped` where it can stop. What
    starts a kernel is other people's, and hangs if it is broken off anywhere.
    """
    handle(lambda *_: None, ending_s=ending_s)


def end() -> None:
    """Stop nothing for a first signal: from here on only the end is written, which must not be left
    out.
    """
    handle(_hurry)


def _hurry(*_: object) -> None:
    if hurried() and _received.waiting:
        raise Hurried


def hurried() -> bool:
    """Return whether a second signal has come."""
    return _received.count > 1


def stopped() -> bool:
    """Return whether any signal has come."""
    return _received.count > 0


@contextmanager
def waiting() -> Iterator[None]:
    """In the `with` block somebody else is waited for while the end is written.

    Raises Hurried if a second signal comes, or has come.
    """
    if hurried():
        raise Hurried
    _received.waiting = True
    try:
        yield
    finally:
        _received.waiting = False


@contextmanager
def as_before() -> Iterator[None]:
    """Whatever is done about them in the `with` block, which is one run."""
    global _received
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    _received = _Received()
    try:
        yield
    finally:
        if _received.last:
            _received.last.cancel()
        _set(before)


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
