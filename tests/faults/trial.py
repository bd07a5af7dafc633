"""One run with one fault: a real papermill, a real kernel and a real server, and a proxy that knows
the moment.
"""

from __future__ import annotations

import enum
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil
import psycopg
from faults.actions import Fault
from faults.obstacles import held_up
from faults.proxy import Point, Proxy, Session
from faults.record import Record
from support.databases import Database

# How long the server stays in the middle of a command after somebody has come to ask about it, or
# the run has ended: whoever asks the ledger and does not wait is told too little, and an orphaned
# kernel notices that it is one.
LASTS_S = 2.0

_PATIENCE_S = 120.0

# papermill as it is, and with our engine. A kernel may take its time to start on a busy machine.
PLAIN = ("papermill", "--no-progress-bar", "--start-timeout", "300")
ENGINE = (*PLAIN, "--engine", "pgrunbook")

# The variable of the environment that holds the URL of the target.
TARGET = "FAULTS_URL"


class When(enum.StrEnum):
    """On which side of a command a fault hits."""

    BEFORE = "before"  # sent by the client, and never seen by the server
    DURING = "during"  # the server is in the middle of it
    AFTER = "after"  # done, and the client does not know


@dataclass(frozen=True)
class Hit:
    """A fault and its moment: the first command that is the point; `commits` if it is in committing
    that it is hit.
    """

    fault: Fault
    point: Point
    when: When = When.BEFORE
    commits: bool = False


@dataclass(frozen=True)
class Ended:
    """A run that has ended, with all that was left of it: exit code, what it printed, its notebook
    if it wrote one.
    """

    run_id: str
    code: int
    text: str
    record: Record | None


@dataclass
class Trial:
    """One run of the runbook of a project against the database, with papermill as `program`, hit
    once or not at all.

    The executed notebook goes to `outputs/`, under the run's id. At the end no process of it is
    left.
    """

    database: Database
    project: Path
    runbook: str
    hit: Hit | None = None
    program: Sequence[str] = ENGINE
    proxy: Proxy = field(init=False)
    runner: subprocess.Popen[str] = field(init=False)
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _kernels: list[psutil.Process] = field(default_factory=list)
    _later: list[threading.Timer] = field(default_factory=list)

    def run(self) -> Ended:
        """Run it to its end, whatever becomes of it."""
        self.proxy = Proxy(self.database.server.socket)
        if self.hit:
            self.proxy.once(self.hit.point, partial(self._stop_the_world, self.hit))
        self.runner = self._start()
        try:
            text, _ = self.runner.communicate(timeout=_PATIENCE_S)
        finally:
            self._clean_up()
        if self.proxy.error:
            raise self.proxy.error
        assert not self.hit or self.proxy.fired.is_set(), f"the moment never came:\n{text}"
        self._wait_for_sessions()
        record = Record(self._output) if self._output.exists() else None
        return Ended(self.run_id, self.runner.returncode, text, record)

    @property
    def _output(self) -> Path:
        return self.project / "outputs" / f"{self.run_id}.ipynb"

    def kernel(self) -> psutil.Process:
        """The kernel of the runner."""
        children = psutil.Process(self.runner.pid).children()
        # as Jupyter starts kernels
        (kernel,) = [child for child in children if os.getsid(child.pid) == child.pid]
        self._kernels.append(kernel)
        return kernel

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do it in the background; the trial does not end before."""
        timer = threading.Timer(seconds, action)
        self._later.append(timer)
        timer.start()

    def _start(self) -> subprocess.Popen[str]:
        seen = replace(
            self.database, server=replace(self.database.server, socket=self.proxy.directory)
        )
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "JPY"))
        }
        env |= {TARGET: seen.url, "PGRUNBOOK_RUN_ID": self.run_id}
        notebooks = (f"runbooks/{self.runbook}.ipynb", str(self._output))
        arguments = (*self.program, *notebooks, "-p", "target", f"env:{TARGET}")
        return subprocess.Popen(
            [sys.executable, "-m", *arguments, *(self.hit.fault.arguments if self.hit else ())],
            cwd=self.project,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # a pipe has no size that could be limited
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def _stop_the_world(self, hit: Hit, session: Session, batch: bytes) -> None:
        if hit.when is When.DURING:
            self._hit_during(hit, session, batch)
            return
        if hit.when is When.AFTER:
            session.send(batch)
            reply = session.reply()
        hit.fault.act(self, session)
        if hit.fault.cuts:
            session.cut()
        elif hit.when is When.AFTER:
            session.deliver(reply)
        else:
            session.send(batch)

    def _hit_during(self, hit: Hit, session: Session, batch: bytes) -> None:
        with ExitStack() as obstacle:
            wait = obstacle.enter_context(held_up(self.database, session, commits=hit.commits))
            session.send(batch)
            wait()
            hit.fault.act(self, session)
            if hit.fault.cuts:
                session.cut()
            if hit.fault.lasts:
                self.later(0, partial(self._release, obstacle.pop_all(), self.proxy.arrivals))

    def _release(self, obstacle: ExitStack, arrivals: int) -> None:
        """Let the server go on when somebody has come to ask what became of the command, and did
        not have to wait.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while (
            self.proxy.arrivals == arrivals
            and self.runner.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        time.sleep(LASTS_S)
        obstacle.close()

    def _clean_up(self) -> None:
        self.runner.kill()
        for kernel in self._kernels:
            if kernel.is_running():
                kernel.kill()
        for timer in self._later:
            timer.join()
        self.proxy.close()

    def _wait_for_sessions(self) -> None:
        """The next run need not be held up by what is left of this one."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s"
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with suppress(psycopg.OperationalError):  # the server may be recovering
                if self.database.execute(query, [f"pgrunbook {self.run_id[:8]}%"]) == [(0,)]:
                    return
            assert time.monotonic() < deadline, "a session outlives its run"
            time.sleep(0.05)
