"""What can go wrong, each as one function: done once, at a chosen moment of a run."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from pgrunbook.postgres import embedded

if TYPE_CHECKING:
    from faults.proxy import Session
    from faults.trial import Trial

# papermill's limit for one cell: long enough for each that nobody holds up, on a busy machine.
CELL_TIMEOUT_S = 10

_PATIENCE_S = 60.0

Action = Callable[["Trial", "Session"], None]


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong.

    `cuts`: the session cannot go on. `lasts`: what the server was doing when it was hit goes on for
    a while. `codes`: the exit codes that tell the truth. `arguments`: what papermill is given
    besides.
    """

    name: str
    what: str
    act: Action
    codes: Collection[int]
    cuts: bool = True
    lasts: bool = True
    arguments: tuple[str, ...] = ()


def _kill_kernel(trial: Trial, _: Session) -> None:
    trial.kernel().kill()


def _kill_runner(trial: Trial, _: Session) -> None:
    trial.kernel()  # it is an orphan from now on; the trial remembers it
    trial.runner.kill()


def _kill_backend(_: Trial, session: Session) -> None:
    os.kill(session.backend_pid, signal.SIGKILL)


def _kill_postmaster(trial: Trial, _: Session) -> None:
    """And start a new one at once, which takes it a while; whoever connects meanwhile finds
    nobody.
    """
    server = trial.database.server
    os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    trial.later(0, lambda: embedded.start(server.data, server.version))


def _cut(_: Trial, session: Session) -> None:
    session.cut()


def _cut_network(trial: Trial, _: Session) -> None:
    trial.proxy.cut_all()


def _terminate(trial: Trial, _: Session) -> None:
    """SIGTERM to the runner; a command that is at work gets its request to cancel before it goes
    on.
    """
    trial.runner.terminate()
    trial.proxy.cancelled.wait(3)


def _time_out(trial: Trial, _: Session) -> None:
    """Nothing moves until the runner has given up on the cell and killed the kernel."""
    kernel = trial.kernel()
    _wait_until(lambda: not _is_alive(kernel), "the cell's timeout")


def _fill_disk(trial: Trial, _: Session) -> None:
    """The limit on a file's size stands for a disk that is full: from now on the runner can write
    nothing.
    """
    resource.prlimit(trial.runner.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.05)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kernel", "kill -9 of the kernel", _kill_kernel, {3}),
        Fault(
            "runner",
            "kill -9 of the papermill process",
            _kill_runner,
            {-signal.SIGKILL},
            cuts=False,
        ),
        Fault("backend", "kill -9 of the server's backend", _kill_backend, {0, 1, 3}),
        Fault(
            "postmaster",
            "kill -9 of the postmaster, which is then started again",
            _kill_postmaster,
            {0, 1, 3},
        ),
        Fault("cut", "the connection is cut", _cut, {0, 1, 3}),
        Fault(
            "network",
            "every connection is cut, and none is let in until the run has ended",
            _cut_network,
            {1, 3},
        ),
        Fault(
            "sigterm", "SIGTERM to the papermill process", _terminate, {3}, cuts=False, lasts=False
        ),
        Fault(
            "timeout",
            "the network stalls until papermill's timeout for the cell",
            _time_out,
            {3},
            arguments=("--execution-timeout", str(CELL_TIMEOUT_S)),
        ),
        Fault(
            "disk",
            "the disk under outputs/ is full from then on",
            _fill_disk,
            {1, 3},
            cuts=False,
            lasts=False,
        ),
    )
}
