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
from pgrunbook.runner import announcement, flood
from pgrunbook.runner.progress_bar import ProgressBar

# As signals.STOPPING_S, after a second signal.
HURRYING_S = 1.0

# How long a kernel whose cell has ended may be silent before it has said so where its outputs come.
SILENCE_S = 4.0


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient with true states, bounded outputs, and with signals that stop the cell before they
    stop the runner.
    """

    iopub_timeout = Integer(7 * 24 * 3600)  # see _async_poll_output_msg

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
                    with self.progress.of_a_cell():
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
        """Take a message of the kernel; what it shows may be an update of what an earlier cell has
        shown. Of too much, not all is kept.
        """
        if (msg["content"].get("transient") or {}).get("display_id"):
            self.nb_man.changed()
        flood.cut(msg["content"])
        self._tell(msg["content"])
        made = cast("NotebookNode | None", super().process_message(msg, cell, cell_index))
        if left_out := self.nb_man.flood.shorten(cell.outputs, flood.size(msg["content"])):
            self._forget(cell_index, left_out)
        return made

    def _tell(self, content: Mapping[str, Any]) -> None:
        """Tell the terminal what somebody there may want to know at once."""
        announcement.hazards(content)
        self.progress.show(content)

    def _forget(self, cell_index: int, left_out: Sequence[int]) -> None:
        """Have updates of displays go where these are, now that some before them are gone."""
        for places in (
            cells[cell_index] for cells in self._display_id_map.values() if cell_index in cells
        ):
            places[:] = [p - max(bisect(left_out, p) - 1, 0) for p in places if p not in left_out]

    async def _async_poll_output_msg(
        self, parent_msg_id: str, cell: NotebookNode, cell_index: int
    ) -> None:
        """Take what a cell shows until it is all there, however long that takes once the cell has
        ended: a flood takes its time. nbclient gives it four seconds; here that is for silence.
        Raises Empty then.
        """
        while True:
            try:
                msg = await ensure_async(self.kc.iopub_channel.get_msg(timeout=SILENCE_S))
            except Empty:
                # which nbclient notes
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
            if len(killers) > signals.hurried():  # each signal after the second is one too many
                return
            _send(kernel, signal.SIGINT)
            killers.append(
                threading.Timer(
                    HURRYING_S if killers else signals.STOPPING_S, _send, [kernel, signal.SIGKILL]
                )
            )
            killers[-1].start()

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
