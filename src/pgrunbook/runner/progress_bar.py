"""Shows on stderr how far a backfill is: a bar, or if it is not a terminal, a line a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from pgrunbook.controls import one_line
from pgrunbook.records import progress
from pgrunbook.records.format import bundles
from pgrunbook.records.format.parts import Progress

_EVERY_S = 60.0


class ProgressBar:
    """What the cell that runs says of its progress. `cells` is papermill's bar, if it shows one.

    Any cell can send such data. What cannot be read is not shown, and is no error; neither is a
    closed terminal.
    """

    def __init__(self, cells: Any = None, now: Callable[[], float] = time.monotonic) -> None:
        self._cells, self._now = cells, now
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._said_at = float("-inf")
        self._paused: Sequence[str] = ()

    @contextmanager
    def for_cell(self) -> Iterator[None]:
        """Run a cell in the `with` block; then take the bar away."""
        try:
            yield
        finally:
            if self._bar:
                self._bar.stop()
            self._bar = None
            self._said_at, self._paused = float("-inf"), ()

    def show(self, content: Mapping[str, Any]) -> None:
        """Show what a message of the kernel says of progress, if it does."""
        with suppress(*bundles.UNREADABLE, OSError):
            for each in bundles.parts(content["data"], Progress):
                if self._cells is not None and self._console.is_terminal:
                    self._draw(each)
                else:
                    self._say(each)

    def _draw(self, far: Progress) -> None:
        told = one_line(progress.line(far))
        if self._bar is None:
            # ours is drawn in its place; tqdm draws it again with the next cell
            self._cells.clear()
            self._bar = _make_bar(self._console)
            self._bar.start()
            self._task = self._bar.add_task(one_line(far.block), told=told)
        self._bar.update(self._task, completed=far.done, total=far.total, told=told, refresh=True)

    def _say(self, far: Progress) -> None:
        """Say it once a minute, and at once when a pause begins or ends."""
        due = self._now() - self._said_at >= _EVERY_S
        if due or bool(far.paused) != bool(self._paused):
            self._said_at, self._paused = self._now(), far.paused
            click.echo(f"progress: {one_line(f'{far.block}: {progress.line(far)}')}", err=True)


def _make_bar(console: Console) -> Bar:
    """Return a bar on stderr. It has no thread that draws it: something is said often enough, and a
    thread would write between lines of the log.
    """
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[told]}", markup=False),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
