"""What cells may leave behind in a process that goes on: put back as it was.

A kernel ends with its run, and takes all of it along. What cannot be put back, such as threads and
modules that were imported, stays.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from typing import Any

from pgrunbook.postgres import run_sessions


@contextmanager
def put_back() -> Iterator[None]:
    """Put back, at the end of the `with` block, what its code has changed in this process; a run's
    sessions end with it.
    """
    with ExitStack() as stack:
        stack.enter_context(chdir(os.curdir))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(_environment())
        stack.enter_context(_interpreter())
        stack.enter_context(_logging())
        stack.enter_context(_signals())
        stack.callback(_pandas)
        stack.callback(run_sessions.end_all)
        yield


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        if before != dict(os.environ):
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def _interpreter() -> Iterator[None]:
    lists = [(each, [*each]) for each in (sys.path, sys.argv, sys.meta_path, sys.path_hooks)]
    hooks = {name: getattr(sys, name) for name in ("displayhook", "excepthook", "unraisablehook")}
    try:
        yield
    finally:
        for each, before in lists:
            each[:] = before
        for name, hook in hooks.items():
            setattr(sys, name, hook)


@contextmanager
def _logging() -> Iterator[None]:
    before = {log: _settings(log) for log in _loggers()}
    disabled = logging.root.manager.disable
    try:
        yield
    finally:
        logging.disable(disabled)
        for log in _loggers():
            level, log.propagate, log.disabled, handlers, filters = before.get(log, _NEW)
            log.setLevel(level)
            log.handlers[:], log.filters[:] = handlers, filters


_NEW: tuple[Any, ...] = (logging.NOTSET, True, False, (), ())


def _settings(log: logging.Logger) -> tuple[Any, ...]:
    return log.level, log.propagate, log.disabled, [*log.handlers], [*log.filters]


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(log for log in known if isinstance(log, logging.Logger))]


def _pandas() -> None:
    """How frames are shown, if cells have shown any: as a new process shows them."""
    if pandas := sys.modules.get("pandas"):
        with warnings.catch_warnings(action="ignore"):  # of options that go
            pandas.reset_option("^display")


@contextmanager
def _signals() -> Iterator[None]:
    """But for those that stop a run, which `signals` sets anew whenever that has to change."""
    if threading.current_thread() is not threading.main_thread():  # nobody can have set one
        yield
        return
    numbers = signal.valid_signals() - {signal.SIGINT, signal.SIGTERM}
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: not Python's own, which cannot be put back
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
