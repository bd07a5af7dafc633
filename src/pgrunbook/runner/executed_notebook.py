"""Saves the executed notebook after each step, so that the file never says more than was done: the
state of each cell, no secret, and on top how the run ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import nbformat
from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager
from papermill.iorw import papermill_io

from pgrunbook.errors import Verdict
from pgrunbook.records import leaks
from pgrunbook.records.card import banner, warning
from pgrunbook.records.format import bundles
from pgrunbook.records.format.parts import Noted
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.runner.output_limits import OutputLimiter
from pgrunbook.secrets.search import Leak

# The tag of the cell that says how a run ended.
BANNER = "pgrunbook-banner"


class ExecutionManager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's manager, which saves the notebook after each cell, true at any moment.

    Cells have one of these states: `pending` (never run), `running`, `completed`, `failed`,
    `interrupted`.
    """

    current: int | None = None  # the index of the cell that runs, or ran last
    cut = False  # whether a cell did not come to its end
    run_id = ""
    worker = False
    secrets: Sequence[str] = ()
    written = False  # whether the notebook's end was written
    _saves = True
    _changed = False  # whether cells before the current one may have been changed

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.leaks: list[Leak] = []
        self._ended = 0  # how many cells have come to their end
        self._ended_texts: list[str] = []  # of these, as they were written last
        self.limiter = OutputLimiter()  # of the current cell

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **options: Any) -> None:
        """Note which cell runs."""
        self.current = cell_index
        self._ended = cell_index or 0
        self.limiter = OutputLimiter()
        super().cell_start(cell, cell_index, **options)

    def cell_passed(self, cell: NotebookNode, cell_index: int) -> None:
        """Note that a cell has run. If another one follows, it is written with that one's start."""
        self._mask_secrets()
        follows = any(later.cell_type == "code" for later in self.nb.cells[cell_index + 1 :])
        with self.unsaved() if follows else nullcontext():
            self.cell_complete(cell, cell_index)

    def text_passed(self, cell: NotebookNode) -> None:
        """A cell without code is done as soon as it is reached."""
        cell.metadata.papermill["status"] = self.COMPLETED
        if self.pbar:
            self.pbar.update(1)

    def save(self, **_: Any) -> None:
        """Write the notebook as it is now, all in one line."""
        if not self._saves:
            return
        self._mask_secrets()
        self.last_save_time = self.now()
        if self.output_path:
            papermill_io.write(self._text(), self.output_path)

    def _text(self) -> str:
        """Return the notebook as JSON."""
        # Only the current cell changes. To write all of them anew after each would take a time that
        # grows with the square of their number.
        self._ended_texts += map(_json, self.nb.cells[len(self._ended_texts) : self._ended])
        cells = [*self._ended_texts, *map(_json, self.nb.cells[len(self._ended_texts) :])]
        rest = {key: value for key, value in self.nb.items() if key != "cells"}
        return f'{{"cells": [{", ".join(cells)}], {_json(rest)[1:]}\n'

    def note_changed(self) -> None:
        """Note that cells which have come to their end may have been changed."""
        self._changed = True
        self._ended_texts.clear()

    def _mask_secrets(self) -> None:
        """Mask secrets in the outputs of the current cell, and of those before it if they may have
        been changed.
        """
        if self.current is None:
            return
        part = nbformat.v4.new_notebook()
        first = 0 if self._changed else self.current
        for cell in self.nb.cells[first : self.current + 1]:
            if cell.get("outputs"):
                part.cells.append(cell)
        self._changed = False
        found = leaks.search(part, self.secrets)
        if found:
            self.leaks += found
            leaks.mask(part, self.secrets)

    def cell_interrupted(self, cell: NotebookNode, cell_index: int) -> None:
        """Note that a cell did not come to its end: its kernel died, or a signal or a timeout
        stopped it.
        """
        # papermill would mark it as completed, and write that
        with self.unsaved():
            self.cell_complete(cell, cell_index)
        cell.metadata.papermill["status"] = "interrupted"
        self.save()

    @contextmanager
    def unsaved(self) -> Iterator[None]:
        """Write nothing in the `with` block."""
        self._saves = False
        try:
            yield
        finally:
            self._saves = True

    def cut_off(self, reason: str) -> Ending:
        """Note that the run was cut off, and return how it ended."""
        self.cut = True
        return Ending(Verdict.INTERRUPTED, reason, cell=self.current)

    def write_end(self, ending: Ending, committed: str = "") -> Ending:
        """Write the end of the run. Returns how it ended: a run that passed has not, if this cannot
        be written.
        """
        try:
            self.end(ending, committed)
        except OSError as exc:
            if ending.verdict is not Verdict.PASSED:
                return ending
            return Ending(Verdict.INTERRUPTED, not_written(exc))
        self.written = True
        return ending

    def end(self, ending: Ending, committed: str = "") -> None:
        """Put the banner on top and write the last state. A run that passed and was not cut off
        needs no banner: its card is its end.
        """
        states = [cell.metadata.papermill["status"] for cell in self.nb.cells]
        self._ended = 0
        self.note_changed()
        # papermill would mark what is pending as completed, and write that
        with self.unsaved():
            self.notebook_complete()
        for cell, state in zip(self.nb.cells, states, strict=True):
            cell.metadata.papermill["status"] = state
        if ending.verdict is not Verdict.PASSED:
            self.nb.metadata.papermill["exception"] = True
        if ending.masked:
            self.nb.cells.insert(0, _note("masked-note", warning(ending.masked)))
        if ending.verdict is not Verdict.PASSED or self.cut:
            self.nb.cells.insert(0, _banner(ending, self.nb.cells, committed))
        optional: dict[str, Any] = {}  # what is noted only if there is something to note
        if ending.masked:
            optional["masked"] = ending.masked
        if self.worker:
            optional["worker"] = True
        noted = Noted(
            verdict=str(ending.verdict),
            reason=ending.reason,
            run_id=self.run_id,
            start_time=self.nb.metadata.papermill["start_time"],
            **optional,
        )
        self.nb.metadata["pgrunbook"] = bundles.note(noted)
        self.save()


def not_written(exc: OSError) -> str:
    """Return why a run ended whose notebook could not be written."""
    return f"the notebook could not be written: {exc.strerror or type(exc).__name__}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _banner(ending: Ending, cells: Sequence[NotebookNode], committed: str) -> NotebookNode:
    cell = ""
    if ending.cell is not None:
        cell = cells[ending.cell].get("id", "")
    return _note("verdict-banner", banner(ending.verdict, ending.reason, cell, committed))


def _note(name: str, text: str) -> NotebookNode:
    """A cell of ours on top of the notebook."""
    made = nbformat.v4.new_markdown_cell(text, id=name)
    made.metadata["tags"] = [BANNER]
    made.metadata["papermill"] = {"status": "completed"}
    return cast(NotebookNode, made)
