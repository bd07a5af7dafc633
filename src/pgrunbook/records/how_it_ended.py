"""How an executed notebook ended, told by the outputs of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nbformat import NotebookNode

from pgrunbook import controls, errors
from pgrunbook.errors import Problem, RunbookError, Verdict, first_line
from pgrunbook.records.format import bundles
from pgrunbook.records.format.mime_types import BLOCK_MIME
from pgrunbook.records.format.parts import Card, Part, Problems

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an executed notebook ended: `reason` is one line, `error` the whole text where there is
    one; `cell` is the index of the cell that it ended in. `committed`: what the target's ledger
    says of it. `masked`: where what looks like a secret was, and is masked: that is a warning, and
    no verdict. `problems`: what `error` says in words.
    """

    verdict: Verdict
    reason: str
    error: str = ""
    cell: int | None = None
    committed: str = ""
    masked: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        """`REFUSED: …`: the verdict, and all that is known about it. No line but ours begins
        without an indent.
        """
        more = [self.committed, _RUN_AGAIN] if self.verdict is Verdict.INTERRUPTED else []
        more += [
            f"warning: what looks like a secret was masked: {controls.one_line(place)}"
            for place in self.masked
        ]
        first, *rest = controls.visible(self.error or self.reason).split("\n")
        below = [line if line.startswith("  ") else f"  {line}" for line in rest]
        return "\n".join(filter(None, [f"{self.verdict.upper()}: {first}", *below, *more]))


_REASON = 2_000  # characters of somebody else's error; the notebook has more
_RUN_AGAIN = "Run again: the next run finds what is done already, and goes on from there."


def judge(cells: Sequence[NotebookNode]) -> Ending:
    """How executed cells ended: with an error, wherever it is; else as the card says.

    Cells with neither did not get to the end, whatever they are marked as: `sys.exit(0)` leaves
    such.
    """
    return find_ending(cells) or Ending(Verdict.FAILED, "the notebook ended without a verdict")


def final_ending(cells: Sequence[NotebookNode]) -> Ending:
    """How the cells ended that nobody is executing any more: as judged; but if they do not say, and
    some never ran, whoever ran them was killed.
    """
    states = {cell.get("metadata", {}).get("papermill", {}).get("status") for cell in cells}
    if find_ending(cells) is None and states & {"running", "pending"}:
        return Ending(Verdict.INTERRUPTED, "whoever ran it was killed")
    return judge(cells)


def find_ending(cells: Sequence[NotebookNode]) -> Ending | None:
    """How the cells themselves say that the run ended; None if they do not."""
    for output, index in _outputs(cells):
        if output.output_type == "error":
            return _of_error(output, index, cells[index])
    try:
        for card, index in shown(cells, Card):
            return Ending(card.verdict, card.reason, cell=index)
    except bundles.UNREADABLE as exc:
        return Ending(Verdict.FAILED, f"the verdict of a cell cannot be read: {first_line(exc)}")
    return None


def judge_cut_off(
    cut: Ending, cells: Sequence[NotebookNode], noted: tuple[Verdict, str] | None
) -> Ending:
    """How a run ended that was cut off: as it had said by then, in a cell or, by verdict and
    reason, in the ledger.

    One that passed has to have come to its last cell, too.
    """
    first = find_ending(cells) or (Ending(*noted, cell=cut.cell) if noted else None)
    if first is None or first.verdict is Verdict.INTERRUPTED:
        return cut
    after = [cell for cell in cells[(cut.cell or 0) + 1 :] if cell.cell_type == "code"]
    left = [cell for cell in after if cell.source.strip() != _WAY_BACK]
    if first.verdict is Verdict.PASSED and left:
        return cut
    return replace(first, reason=f"{first.reason.rstrip('.')}; after that, {cut.reason}")


# The last cell of a runbook, which does nothing once a run has passed.
_WAY_BACK = "run.revert()"


def may_have_written(ending: Ending, cells: Sequence[NotebookNode]) -> bool:
    """Whether the target is to be asked. Not after what ends a run before its first block: bad
    parameters, bad SQL, a target that is not ready or is locked; then it may be one that should not
    even be connected to.
    """
    before_the_first = ending.verdict in (Verdict.REFUSED, Verdict.LOCKED_OUT)
    applied = any(BLOCK_MIME in output.get("data", ()) for output, _ in _outputs(cells))
    return applied or not before_the_first


def shown(cells: Sequence[NotebookNode], kind: type[P]) -> Iterator[tuple[P, int]]:
    """What the cells' outputs say of a kind, and the index of the cell."""
    for output, index in _outputs(cells):
        for said in bundles.parts(output.get("data", {}), kind):
            yield said, index


def _outputs(cells: Sequence[NotebookNode]) -> Iterator[tuple[NotebookNode, int]]:
    return (
        (output, index) for index, cell in enumerate(cells) for output in cell.get("outputs", ())
    )


def _problems(cell: NotebookNode) -> tuple[Problem, ...]:
    """The problems of the error that ended a cell, each once: IPython makes the text of an error
    twice. None if what the cell holds is somebody else's, and no problems.
    """
    found: dict[Problem, None] = {}
    try:
        for said, _ in shown([cell], Problems):
            found |= dict.fromkeys(said.problems)
    except bundles.UNREADABLE:
        return ()
    return tuple(found)


def _of_error(output: NotebookNode, index: int, cell: NotebookNode) -> Ending:
    if output.ename == "KeyboardInterrupt":
        return Ending(Verdict.INTERRUPTED, "stopped by a signal", cell=index)
    if output.ename == "SystemExit":
        return Ending(Verdict.FAILED, "a cell ended the kernel", cell=index)
    kind = getattr(errors, output.ename, None)
    if isinstance(kind, type) and issubclass(kind, RunbookError):
        reason = output.evalue.split("\n", 1)[0]
        return Ending(kind.verdict, reason, output.evalue, index, problems=_problems(cell))
    reason = f"{output.ename}: {output.evalue}".split("\n", 1)[0]
    reason = f"{reason[:_REASON]} …" if len(reason) > _REASON else reason
    name = cell.get("id", "")
    return Ending(Verdict.FAILED, reason, f"{reason}\n  in the cell {name}" if name else "", index)
