"""Where tasks are run: in processes of this machine, or on a Dask cluster.

Any executor of `concurrent.futures` would do. It need not be reliable: what came of a run is asked
of the target's ledger, not of the task that ran it.
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
from pgrunbook.errors import Refused, Verdict

# Tasks after which a worker is begun anew, so that what a library keeps does not add up.
_TASKS = 250
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# How long a run may take to come to its end, when its coordinator has died.
_ENDING_S = 60.0
# To ask the ledgers of the targets that were at work, and to seal, after a second signal.
_SEALING_S = 5.0
_INTERRUPTED = Verdict.INTERRUPTED.exit_code
# Held in a worker while it has a task.
_at_work = threading.Lock()


class Processes(Executor):
    """Worker processes of this machine.

    Each is a ProcessPoolExecutor of one process: a pool of several gives up all of its tasks when
    one process dies (BrokenProcessPool), and here it takes one task with it. A worker whose last
    task was `spent` (see `task`) is replaced.

    The workers end with the process that has made them. They are not in the foreground of its
    terminal, so that Ctrl-C reaches the coordinator alone.
    """

    def __init__(self, workers: int) -> None:
        self._pools: list[ProcessPoolExecutor | None] = [None] * workers
        self._tasks: list[Future[Any] | None] = [None] * workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to a process that has none. Raises RuntimeError if there is none."""
        for number, task in enumerate(self._tasks):
            if task is None or task.done():
                future = self._submit_to(number, fn, *args, **kwargs)
                self._tasks[number] = future
                return future
        raise RuntimeError("every worker has a task")

    def _submit_to(
        self, number: int, fn: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> Future[Any]:
        self._end_if_spent(number)
        pool = self._pools[number]
        if pool is not None:
            with suppress(RuntimeError):  # BrokenProcessPool: its process is dead
                return pool.submit(_run_task, fn, *args, **kw)
            pool.shutdown(wait=False)
        # spawn: a fork would copy the coordinator's threads and its sessions as they stand
        self._pools[number] = pool = ProcessPoolExecutor(
            1,
            multiprocessing.get_context("spawn"),
            _begin_worker,
            (os.getpid(),),
            max_tasks_per_child=_TASKS,
        )
        return pool.submit(_run_task, fn, *args, **kw)

    def _end_if_spent(self, number: int) -> None:
        """Kill a worker in which threads are left: told to end, it would wait for them for ever."""
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
        processes: list[BaseProcess] = []
        for pool in filter(None, self._pools):
            processes += _processes_of(pool)
        return processes


def _processes_of(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    # a private attribute: there is no other way to them; ended ones are taken out of it
    return [*(pool._processes or {}).values()]


def _begin_worker(parent: int) -> None:
    """Begin a worker, which ends when the coordinator does."""
    os.setpgrp()  # a process group of its own: a terminal's Ctrl-C goes to that of the coordinator
    # between two tasks; a run has its own handler
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_INTERRUPTED))
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    # Linux tells a child at once, https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html;
    # elsewhere `_end_with_parent` sees it a second later.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_with_parent(parent: int) -> None:
    """End this process once its coordinator has ended, and its own run has."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    _at_work.acquire(timeout=_ENDING_S)
    os._exit(_INTERRUPTED)


def _run_task(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with _at_work:
        return fn(*args, **kwargs)


def start(executor: str, workers: int) -> Executor:
    """Return the executor that a fleet's settings name. Raises Refused if it cannot be reached."""
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
    """Return how long, in seconds, a coordinator may take to its end after a second signal.

    Its own workers are stopped then: each rolls back and writes its record, ledgers are asked, and
    the fleet's record is sealed. Those of a cluster cannot be stopped, and are not waited for.
    """
    if isinstance(executor, Processes):
        return signals.STOPPING_S + signals.ENDING_S + _SEALING_S
    return signals.ENDING_S


def run_limited(server: str, most: int, task: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
    """Run a task on a worker of Dask, with at most so many at once on a database server.

    The workers count by themselves: of tasks that Dask begins again the coordinator knows nothing.
    """
    from distributed import Semaphore

    with Semaphore(max_leases=most, name=f"pgrunbook {server}"):
        return task(*args, **kw)
