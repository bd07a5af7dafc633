"""Finds how an executed notebook ended, by the outputs of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nbformat import NotebookNode

from pgrunbook import controls, errors
from pgrunbook.errors import Problem, RunbookError, Verdict, first_line
from pgrunbook.records.format import bundles
from pgrunbook.records.format.mime_types import BLOCK_MIME
from pgrunbook.records.format.parts import Card, Done, Part, Problems

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an executed notebook ended.

    - `reason` is one line, `error` the whole text of an error, if there was one; `problems` are the
      same as data.
    - `cell` is the index of the cell that it ended in.
    - `committed` is what the target's ledger says of the run.
    - `masked` are the places where something that looks like a secret was masked: a warning, which
      changes no verdict.
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
        """`REFUSED: …`: the verdict, and all that is known about it."""
        first, *rest = controls.visible(self.error or self.reason).split("\n")
        lines = [f"{self.verdict.upper()}: {first}"]
        # Lines of an error are indented: no text of somebody else's looks like a line of ours.
        lines += [line if line.startswith("  ") else f"  {line}" for line in rest]
        if self.verdict is Verdict.INTERRUPTED:
            lines += [self.committed, _RUN_AGAIN]
        for place in self.masked:
            where = controls.one_line(place)
            lines.append(f"warning: what looks like a secret was masked: {where}")
        return "\n".join(line for line in lines if line)


_REASON = 2_000  # characters of an error that is not ours; the notebook has all of it
_RUN_AGAIN = "Run again: the next run finds what is done already, and goes on from there."


def judge(cells: Sequence[NotebookNode]) -> Ending:
    """Return how executed cells ended: with an error, wherever it is; else as the card says."""
    # Cells with neither did not get to the end, even if papermill calls them completed: it does
    # after `sys.exit(0)`.
    return find_ending(cells) or Ending(Verdict.FAILED, "the notebook ended without a verdict")


def final_ending(cells: Sequence[NotebookNode]) -> Ending:
    """Return how cells ended that nobody is executing any more. If they do not say, and some never
    ran, their runner was killed.
    """
    states = {cell.get("metadata", {}).get("papermill", {}).get("status") for cell in cells}
    if find_ending(cells) is None and states & {"running", "pending"}:
        return Ending(Verdict.INTERRUPTED, "whoever ran it was killed")
    return judge(cells)


def find_ending(cells: Sequence[NotebookNode]) -> Ending | None:
    """Return how the run ended by the outputs of its cells; None if they do not say."""
    try:
        for output, index in _outputs(cells):
            if output.output_type == "error":
                return _failed_after_blocks(
                    _ending_of_error(output, index, cells[index]), cells[: index + 1]
                )
        for card, index in shown(cells, Card):
            return Ending(card.verdict, card.reason, cell=index)
    except bundles.UNREADABLE as exc:
        return Ending(Verdict.FAILED, f"the verdict of a cell cannot be read: {first_line(exc)}")
    return None


def judge_cut_off(
    cut: Ending, cells: Sequence[NotebookNode], noted: tuple[Verdict, str] | None
) -> Ending:
    """Return how a run ended that was cut off.

    A verdict that it had shown in a cell by then counts more than `cut`, and so does `noted`, the
    verdict and the reason in the ledger. `passed` counts only if no cell was left to run.
    """
    first = find_ending(cells)
    if first is None and noted:
        first = Ending(*noted, cell=cut.cell)
    if first is None or first.verdict is Verdict.INTERRUPTED:
        return cut
    if first.verdict is Verdict.PASSED:
        # cells behind the verdict may have done something, too
        for cell in cells[(cut.cell or 0) + 1 :]:
            if cell.cell_type == "code" and cell.source.strip() != _WAY_BACK:
                return cut
    return replace(first, reason=f"{first.reason.rstrip('.')}; after that, {cut.reason}")


# The last cell of a runbook, which does nothing once a run has passed.
_WAY_BACK = "run.revert()"


def may_have_written(ending: Ending, cells: Sequence[NotebookNode]) -> bool:
    """Return whether the run may have written into its target: then its ledger is asked."""
    # A run that was refused or locked out ends before its first block. Then the target may be one
    # that nobody is meant to connect to.
    if ending.verdict not in (Verdict.REFUSED, Verdict.LOCKED_OUT):
        return True
    return any(BLOCK_MIME in output.get("data", ()) for output, _ in _outputs(cells))


def shown(cells: Sequence[NotebookNode], kind: type[P]) -> Iterator[tuple[P, int]]:
    """Yield each part of this kind in the outputs of the cells, with the index of its cell."""
    for output, index in _outputs(cells):
        for said in bundles.parts(output.get("data", {}), kind):
            yield said, index


def _outputs(cells: Sequence[NotebookNode]) -> Iterator[tuple[NotebookNode, int]]:
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", ()):
            yield output, index


def _problems(cell: NotebookNode) -> tuple[Problem, ...]:
    """Return the problems of the error that ended a cell; none if they cannot be read."""
    # IPython renders an error twice, and each time the cell shows its problems.
    found: dict[Problem, None] = {}
    try:
        for said, _ in shown([cell], Problems):
            found |= dict.fromkeys(said.problems)
    except bundles.UNREADABLE:
        return ()
    return tuple(found)


def _failed_after_blocks(ending: Ending, cells: Sequence[NotebookNode]) -> Ending:
    """Return how a run ended in the last of these cells. A run that has committed blocks was not
    refused, as that says that nothing was changed: it failed.
    """
    if ending.verdict not in (Verdict.REFUSED, Verdict.LOCKED_OUT):
        return ending
    done = [said for said, _ in shown(cells, Done)]
    if not done:
        return ending
    after = f"after {done[-1].block} was {done[-1].event}: "
    return replace(
        ending,
        verdict=Verdict.FAILED,
        reason=f"{after}{ending.reason}",
        error=f"{after}{ending.error}",
    )


def _ending_of_error(output: NotebookNode, index: int, cell: NotebookNode) -> Ending:
    if output.ename == "KeyboardInterrupt":
        return Ending(Verdict.INTERRUPTED, "stopped by a signal", cell=index)
    if output.ename == "SystemExit":
        return Ending(Verdict.FAILED, "a cell ended the kernel", cell=index)
    kind = getattr(errors, output.ename, None)
    if isinstance(kind, type) and issubclass(kind, RunbookError):
        reason = output.evalue.split("\n", 1)[0]
        return Ending(kind.verdict, reason, output.evalue, index, problems=_problems(cell))
    reason = f"{output.ename}: {output.evalue}".split("\n", 1)[0]
    if len(reason) > _REASON:
        reason = f"{reason[:_REASON]} …"
    name = cell.get("id", "")
    error = f"{reason}\n  in the cell {name}" if name else ""
    return Ending(Verdict.FAILED, reason, error, index)
