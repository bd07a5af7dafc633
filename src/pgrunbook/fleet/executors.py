"""Where tasks are run: processes of this machine, or a Dask cluster. Any `concurrent.futures`
executor would do; what came of a task is asked of the target's ledger.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any, cast

from pgrunbook import signals
from pgrunbook.errors import Refused

# Tasks after which a worker is begun anew, so that what a library keeps does not add up.
_TASKS = 250
_PR_SET_PDEATHSIG = 1
# How long a run may take to come to its end, when its coordinator has died.
_ENDING_S = 60.0
# To ask the ledgers of the targets that were at work, and to seal, after a second signal.
_SEALING_S = 5.0
_INTERRUPTED = 3
_at_work = threading.Lock()


class Processes(Executor):
    """So many processes of this machine. Each is an executor of its own, so that one that dies
    takes one task with it: a ProcessPoolExecutor gives up all of its tasks then. One that is spent,
    as its last task has told, gets no other.

    The processes end with the one that has made them, and are no part of its terminal's foreground:
    Ctrl-C is for the coordinator.
    """

    def __init__(self, workers: int) -> None:
        self._pools: list[ProcessPoolExecutor | None] = [None] * workers
        self._tasks: list[Future[Any] | None] = [None] * workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to a process that has none. Raises RuntimeError if there is none."""
        for number, task in enumerate(self._tasks):
            if task is None or task.done():
                future = self._submitted(number, fn, *args, **kwargs)
                self._tasks[number] = future
                return future
        raise RuntimeError("every worker has a task")

    def _submitted(
        self, number: int, fn: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> Future[Any]:
        self._end_if_spent(number)
        pool = self._pools[number]
        if pool is not None:
            with suppress(RuntimeError):  # BrokenProcessPool: its process is dead
                return pool.submit(_work, fn, *args, **kw)
            pool.shutdown(wait=False)
        self._pools[number] = pool = ProcessPoolExecutor(
            1,
            multiprocessing.get_context("spawn"),
            _begin,
            (os.getpid(),),
            max_tasks_per_child=_TASKS,
        )
        return pool.submit(_work, fn, *args, **kw)

    def _end_if_spent(self, number: int) -> None:
        """A thread that is left would keep it for ever where it is only told to end."""
        task, pool = self._tasks[number], self._pools[number]
        if pool is None or task is None or not task.done() or task.cancelled() or task.exception():
            return
        told = task.result()
        if isinstance(told, dict) and told.get("spent"):
            for process in _processes_of(pool):
                process.terminate()
            pool.shutdown(wait=False)
            self._pools[number] = None

    def stop(self) -> None:
        """Stop the runs that are at work, as SIGTERM does."""
        for process in self._processes():
            process.terminate()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, each after its task."""
        for number in range(len(self._pools)):
            self._end_if_spent(number)
        for pool in filter(None, self._pools):
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _processes(self) -> list[BaseProcess]:
        return [each for pool in filter(None, self._pools) for each in _processes_of(pool)]


def _processes_of(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    # the only way to them; they are taken out of it when they have ended
    return [*(pool._processes or {}).values()]


def _begin(parent: int) -> None:
    """Begin a worker: it ends with the coordinator, and a terminal's Ctrl-C does not reach it."""
    os.setpgrp()
    # between two runs; a run has its own way to end
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_INTERRUPTED))
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if sys.platform == "linux":  # at once; elsewhere a second later
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _watch(parent: int) -> None:
    """End this process once its coordinator has, and the run that it is at has come to its end."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    _at_work.acquire(timeout=_ENDING_S)
    os._exit(_INTERRUPTED)


def _work(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with _at_work:
        return fn(*args, **kwargs)


def start(executor: str, workers: int) -> Executor:
    """The executor that a fleet's settings name. Raises Refused if it cannot be had."""
    if executor == "local":
        return Processes(workers)
    try:
        from distributed import Client
    except ImportError as exc:
        raise Refused.of(
            "Dask is not installed",
            where=f"executor {executor!r}",
            remedy="pip install 'pgrunbook[fleet]'",
        ) from exc
    try:
        client = Client(executor.replace("dask://", "tcp://"), timeout=10)
    except (OSError, TimeoutError) as exc:
        raise Refused.of(
            "Dask's scheduler does not answer",
            where=f"executor {executor!r}",
            found=str(exc),
            remedy="see that it runs there: dask scheduler",
        ) from exc
    # pure: two equal tasks would be one; retries: what is tried again is decided here
    return cast(Executor, client.get_executor(pure=False, retries=0))


def may_repeat(executor: str) -> bool:
    """Whether it begins a task again by itself when a worker dies, a finished one included."""
    return executor != "local"


def ending_s(executor: Executor) -> float:
    """How long a coordinator may take to its end after a second signal. Its own workers are stopped
    then: each rolls back and writes its record, ledgers are asked, and the fleet's record is
    sealed. Those of a cluster cannot be stopped, and are not waited for.
    """
    if isinstance(executor, Processes):
        return signals.STOPPING_S + signals.ENDING_S + _SEALING_S
    return signals.ENDING_S


def run_limited(server: str, most: int, task: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
    """Run a task on a worker of Dask, with so many at once per database server over all workers:
    those that Dask has begun again are not the coordinator's to count.
    """
    from distributed import Semaphore

    with Semaphore(max_leases=most, name=f"pgrunbook {server}"):
        return task(*args, **kw)
