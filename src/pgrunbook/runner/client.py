"""The client of the kernel: it has one cell after the other executed, and takes what they show."""

from __future__ import annotations

import os
import signal
import threading
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any, cast

from jupyter_core.utils import ensure_async
from nbclient.exceptions import CellExecutionComplete, CellExecutionError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from traitlets import Integer

from pgrunbook import signals
from pgrunbook.runner import announcement, output_limits
from pgrunbook.runner.progress_bar import ProgressBar

# As signals.STOPPING_S, after a second signal.
HURRYING_S = 1.0

# How long a kernel whose cell has ended may be silent before it has said so where its outputs come.
SILENCE_S = 4.0


class NotebookClient(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient with true states, bounded outputs, and with signals that stop the cell before they
    stop the runner.
    """

    # As good as none: `_async_poll_output_msg` has a limit of its own.
    iopub_timeout = Integer(7 * 24 * 3600)

    def __init__(self, nb_man: Any, **options: Any) -> None:
        super().__init__(nb_man, **options)
        self.progress = ProgressBar(nb_man.pbar)

    def papermill_execute_cells(self) -> None:
        """Run the cells one after the other, up to the first that fails. Raises KeyboardInterrupt
        if a signal came before the first.
        """
        with self._stopping_on_signals():
            if signals.stopped():
                raise KeyboardInterrupt
            for index, cell in enumerate(self.nb.cells):
                if cell.cell_type != "code":
                    self.nb_man.text_passed(cell)
                    continue
                self.nb_man.cell_start(cell, index)
                try:
                    with self.progress.for_cell():
                        self.execute_cell(cell, index)
                except CellExecutionError as exc:
                    self.nb_man.cell_exception(cell, cell_index=index, exception=exc)
                    self.nb_man.cell_complete(cell, cell_index=index)
                    break
                except BaseException:
                    self.nb_man.cell_interrupted(cell, index)
                    raise
                self.nb_man.cell_passed(cell, index)

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take a message of the kernel. If a cell shows too much, not all is kept."""
        # with a display id it may change what an earlier cell has shown
        transient = msg["content"].get("transient") or {}
        if transient.get("display_id"):
            self.nb_man.note_changed()
        output_limits.cut(msg["content"])
        self._tell(msg["content"])
        made = cast("NotebookNode | None", super().process_message(msg, cell, cell_index))
        size = output_limits.size(msg["content"])
        left_out = self.nb_man.limiter.shorten(cell.outputs, size)
        if left_out:
            self._move_displays(cell_index, left_out)
        return made

    def _tell(self, content: Mapping[str, Any]) -> None:
        """Tell the terminal what somebody there may want to know at once."""
        announcement.tell(content)
        self.progress.show(content)

    def _move_displays(self, cell_index: int, left_out: Sequence[int]) -> None:
        """Have updates of displays go where these are, now that outputs before them are gone."""
        for cells in self._display_id_map.values():
            if cell_index in cells:
                moved = []
                for place in cells[cell_index]:
                    if place not in left_out:
                        # the first of those left out stays, with the note in it
                        gone_before = max(bisect(left_out, place) - 1, 0)
                        moved.append(place - gone_before)
                cells[cell_index][:] = moved

    async def _async_poll_output_msg(
        self, parent_msg_id: str, cell: NotebookNode, cell_index: int
    ) -> None:
        """Take what a cell shows until it is all there. Raises Empty if the kernel is silent though
        the cell has ended.
        """
        # nbclient gives the outputs of a cell four seconds in all once it has ended. Many outputs
        # take longer: here the seconds are those in which nothing comes.
        while True:
            try:
                msg = await ensure_async(self.kc.iopub_channel.get_msg(timeout=SILENCE_S))
            except Empty:
                # nbclient notes here that the cell has ended
                if "shell.execute_reply" in cell.metadata.get("execution", {}):
                    raise
                continue
            if msg["parent_header"].get("msg_id") == parent_msg_id:
                try:
                    self.process_message(msg, cell, cell_index)
                except CellExecutionComplete:
                    return

    @contextmanager
    def _stopping_on_signals(self) -> Iterator[None]:
        """On SIGINT or SIGTERM interrupt the kernel, as JupyterLab's stop button does: the
        statement is cancelled, the block rolled back, the ledger told. Kill the kernel if that
        takes too long, after a second signal the sooner.
        """
        kernel = self.km.provisioner.pid
        killers: list[threading.Timer] = []

        def stop(*_: object) -> None:
            if len(killers) > signals.hurried():  # a third signal changes nothing
                return
            _send(kernel, signal.SIGINT)
            patience_s = HURRYING_S if killers else signals.STOPPING_S
            killer = threading.Timer(patience_s, _send, [kernel, signal.SIGKILL])
            killers.append(killer)
            killer.start()

        signals.handle(stop)
        try:
            yield
        finally:
            signals.end()
            for killer in killers:
                killer.cancel()


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
