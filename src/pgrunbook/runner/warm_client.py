"""The client of no kernel: it runs one cell after the other in this process, and takes what they
show as it would take it from a kernel.
"""

from __future__ import annotations

import copy
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from ipykernel.ipkernel import IPythonKernel
from nbclient.client import timestamp
from nbclient.exceptions import (
    CellExecutionComplete,
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from nbformat import NotebookNode

from pgrunbook import signals
from pgrunbook.errors import Verdict
from pgrunbook.runner import client, leftovers, shell
from pgrunbook.runner.shell import Message


class WarmClient(client.NotebookClient):
    """Executes the cells in a shell of this process, a new one for each notebook."""

    def execute(self, **_: Any) -> NotebookNode:
        """Run the cells, up to the first that fails. What they leave behind ends with them."""
        self.reset_execution_trackers()
        self._current: tuple[NotebookNode, int] | None = None
        with leftovers.put_back(), shell.open_shell(self._take) as self._shell:
            self.papermill_execute_cells()
        self.nb.metadata["language_info"] = copy.deepcopy(IPythonKernel.language_info)
        self.set_widgets_metadata()
        return cast(NotebookNode, self.nb)

    def execute_cell(self, cell: NotebookNode, cell_index: int, **_: Any) -> NotebookNode:
        """Run a code cell. Raises CellExecutionError for its error, DeadKernelError if it asks for
        an end of the kernel, and CellTimeoutError.
        """
        tags = cell.metadata.get("tags", [])
        if not cell.source.strip() or self.skip_cells_with_tag in tags:
            return cell
        cell.outputs, cell.metadata["execution"] = [], {}
        self.clear_before_next_output = False
        self._current = cell, cell_index
        self.code_cells_executed += 1
        error = self._run(cell)
        if self._shell.exit_asked:
            raise DeadKernelError("Kernel died")
        if error and not (self.allow_errors or "raises-exception" in tags):
            said = {"ename": type(error).__name__, "evalue": str(error), "traceback": []}
            raise CellExecutionError.from_cell_and_msg(cell, said)
        return cell

    def _run(self, cell: NotebookNode) -> BaseException | None:
        """Run it, with the messages around it that a kernel sends. Returns its error. Raises
        CellTimeoutError.
        """
        allowed_s = self._get_timeout(cell)
        messages = self._shell.messages
        messages.send(None, "status", {"execution_state": "busy"})
        count = {"code": cell.source, "execution_count": self._shell.execution_count}
        messages.send(None, "execute_input", count)
        try:
            with _time_limit(allowed_s) as limit:
                done = self._shell.run_cell(cell.source, store_history=True)  # type: ignore[no-untyped-call]
        finally:
            self._shell.flush()
            # what nbclient notes when a kernel says that the cell has ended
            cell.metadata["execution"]["shell.execute_reply"] = timestamp()
            messages.send(None, "status", {"execution_state": "idle"})
            if limit.over:
                raise CellTimeoutError.error_from_timeout_and_cell("", allowed_s, cell)
        return cast(BaseException | None, done.error_before_exec or done.error_in_exec)

    def _tell(self, content: Mapping[str, Any]) -> None:
        """Nothing: a worker has no terminal, and its `sys.stderr` is the cell's meanwhile."""

    def _take(self, message: Message) -> None:
        assert self._current is not None
        with suppress(CellExecutionComplete):  # said when it is idle
            self.process_message(message, *self._current)

    @contextmanager
    def _stopping_on_signals(self) -> Iterator[None]:
        """On SIGINT or SIGTERM interrupt the cell: the statement is cancelled, the block rolled
        back, the ledger told. If that takes too long, end the process, as a kernel is killed.
        """

        def stop(*_: object) -> NoReturn:
            _end_process(client.HURRYING_S if signals.hurried() else signals.STOPPING_S, enders)
            raise KeyboardInterrupt

        enders: list[threading.Timer] = []
        signals.handle(stop)
        try:
            yield
        finally:
            signals.end()
            for ender in enders:
                ender.cancel()


@dataclass(slots=True)
class _TimeLimit:
    """Whether the time that a cell may take is over."""

    over: bool = False

    def expire(self, *_: object) -> NoReturn:
        self.over = True
        raise KeyboardInterrupt


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[_TimeLimit]:
    """Interrupt the `with` block once its time is over. What does not heed that ends the process:
    nothing else ends it here. Other threads than the main one cannot be interrupted.
    """
    limit, enders = _TimeLimit(), list[threading.Timer]()
    if seconds is None:
        yield limit
        return
    _end_process(seconds + signals.STOPPING_S, enders)
    try:
        with _alarm(seconds, limit.expire):
            yield limit
    finally:  # also if the alarm has come in the middle of its end
        enders[0].cancel()


@contextmanager
def _alarm(seconds: float, handler: Callable[..., object]) -> Iterator[None]:
    """Call the handler after so many seconds, in the middle of whatever the cell does then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end_process(after_s: float, enders: list[threading.Timer]) -> None:
    """End this process after so many seconds, unless the timer, which is added to `enders`, is
    cancelled before.
    """
    ender = threading.Timer(after_s, os._exit, [Verdict.INTERRUPTED.exit_code])
    ender.daemon = True
    enders.append(ender)
    ender.start()
