"""How a backfill looks in a notebook: a bar while it is at work, and a picture of how it went."""

from __future__ import annotations

from collections.abc import Sequence

from IPython.display import DisplayHandle, Markdown
from IPython.display import display as show

from pgrunbook.controls import one_line
from pgrunbook.ledger.batches import History
from pgrunbook.records import backfill, backfill_picture, progress
from pgrunbook.records.backfill import Pause, TimeSlice
from pgrunbook.records.card import inline
from pgrunbook.records.format.bundles import bundle
from pgrunbook.records.format.parts import Kind, Progress
from pgrunbook.records.words import counted
from pgrunbook.run import display


class BackfillDisplay:
    """How far a backfill has come, in a line with a bar that changes in place."""

    def __init__(self) -> None:
        self._shown: DisplayHandle | None = None

    def report(self, far: Progress) -> None:
        """Show how far it has come now."""
        text = " ".join(filter(None, [progress.bar(far), inline(progress.line(far))]))
        data = bundle(far) | {"text/markdown": text, "text/plain": text}
        if self._shown:
            self._shown.update(data, raw=True)
        else:
            self._shown = show(data, raw=True, display_id=True)


def history(block: str, found: History) -> None:
    """Show how a block in batches went: a row for each run that has worked on it, and a picture;
    nothing, if no batch has run.
    """
    if not len(found.runs):
        return
    show(Markdown("The runs that have worked on it, and their batches:"))
    show(display.named(found.runs, Kind.BATCHES, block=block))
    slices = [TimeSlice(**row) for row in found.slices]
    pauses = [Pause(**row) for row in found.pauses]
    picture(block, slices, pauses)


def picture(block: str, slices: Sequence[TimeSlice], pauses: Sequence[Pause]) -> None:
    """Show how a backfill went over time: drawn, and in words for who does not see it; below that
    its numbers. Nothing, if no batch has run.
    """
    if not slices:
        return
    drawn = backfill_picture.svg(block, slices, pauses)
    told = one_line(backfill.summary(slices, pauses))
    show({"image/svg+xml": drawn, "text/plain": told}, raw=True)
    numbers = display.named(backfill.frame(slices, pauses), Kind.BACKFILL, block=block)
    display.frame(display.folded(numbers, f"The picture's numbers, {counted(len(slices), 'row')}"))
