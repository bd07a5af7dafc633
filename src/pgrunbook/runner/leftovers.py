"""What cells may leave behind in a process that goes on: put back as it was.

A kernel ends with its run, and takes all of it along. What cannot be put back, such as modules that
were imported, stays; a fleet's process in which threads are left is not used again.
"""

from __future__ import annotations

import builtins
import decimal
import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, chdir, contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap

from pgrunbook.postgres import run_sessions


@contextmanager
def put_back() -> Iterator[None]:
    """Put back, at the end of the `with` block, what its code has changed in this process; a run's
    sessions end with it.
    """
    with ExitStack() as stack:
        stack.enter_context(chdir(os.curdir))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(_names(os.environ))
        stack.enter_context(_names(vars(builtins)))
        stack.enter_context(_adapters())
        stack.enter_context(_values())
        stack.enter_context(_interpreter())
        stack.enter_context(_logging())
        stack.enter_context(_signals())
        stack.callback(_pandas)
        stack.callback(run_sessions.end_all)
        yield


@contextmanager
def _names(known: MutableMapping[str, Any]) -> Iterator[None]:
    """The entries of a mapping: environment variables, built-in names, types."""
    before = dict(known)
    try:
        yield
    finally:
        for name in [*known]:
            if name not in before:
                del known[name]
        known.update(before)


@contextmanager
def _adapters() -> Iterator[None]:
    """How psycopg reads and writes types. Every module has its map, which so cannot be replaced:
    what it had before is put back into it.
    """
    before = AdaptersMap(psycopg.adapters)
    try:
        with _names(vars(psycopg.adapters.types)):
            yield
    finally:
        put_back = vars(AdaptersMap(before)) | {"types": psycopg.adapters.types}
        vars(psycopg.adapters).update(put_back)


@contextmanager
def _values() -> Iterator[None]:
    before = [(put, look()) for look, put in _VALUES]
    try:
        yield
    finally:
        for put, value in before:
            put(value)


def _umask() -> int:
    """Return the umask, which can only be read by setting it."""
    os.umask(now := os.umask(0o077))
    return now


def _enable_gc(enabled: bool) -> None:
    if enabled:
        gc.enable()
    else:
        gc.disable()


# What there is one of in a process: how to ask for it, and how to set it.
_VALUES: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (_umask, os.umask),
    (partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    (lambda: decimal.getcontext().copy(), decimal.setcontext),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (gc.isenabled, _enable_gc),
    (sys.getrecursionlimit, sys.setrecursionlimit),
)


@contextmanager
def _interpreter() -> Iterator[None]:
    """The lists and hooks of `sys`. A list is put back in place: others may hold it."""
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
    """Every logger. One that is new cannot be removed: it becomes as one that nobody has set."""
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
    """Its options, if cells have used it: as a new process has them."""
    if pandas := sys.modules.get("pandas"):
        with warnings.catch_warnings(action="ignore"):  # of options that go
            pandas.reset_option("^(display|future|mode|styler)")


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
