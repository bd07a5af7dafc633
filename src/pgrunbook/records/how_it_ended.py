"""How an executed notebook ended, told by the outputs of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from nbformat import NotebookNode

from pgrunbook import controls, errors
from pgrunbook.errors import Problem, RunbookError, Verdict
from pgrunbook.mime_types import BLOCK_MIME, PROBLEMS_MIME, VERDICT_MIME
from pgrunbook.records.card import unpacked


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
    return told(cells) or Ending(Verdict.FAILED, "the notebook ended without a verdict")


def final(cells: Sequence[NotebookNode]) -> Ending:
    """How the cells ended that nobody is executing any more: as judged; but if they do not say, and
    some never ran, whoever ran them was killed.
    """
    states = {cell.get("metadata", {}).get("papermill", {}).get("status") for cell in cells}
    if told(cells) is None and states & {"running", "pending"}:
        return Ending(Verdict.INTERRUPTED, "whoever ran it was killed")
    return judge(cells)


def told(cells: Sequence[NotebookNode]) -> Ending | None:
    """How the cells themselves say that the run ended; None if they do not."""
    for output, index in _outputs(cells):
        if output.output_type == "error":
            return _of_error(output, index, cells[index])
    for card, index in shown(cells, VERDICT_MIME):
        return Ending(Verdict(card["verdict"]), card["reason"], cell=index)
    return None


def settled(
    cut: Ending, cells: Sequence[NotebookNode], noted: tuple[Verdict, str] | None
) -> Ending:
    """How a run ended that was cut off: as it had said by then, in a cell or, by verdict and
    reason, in the ledger.

    One that passed has to have come to its last cell, too.
    """
    first = told(cells) or (Ending(*noted, cell=cut.cell) if noted else None)
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
    return not before_the_first or any(shown(cells, BLOCK_MIME))


def shown(cells: Sequence[NotebookNode], mime: str) -> Iterator[tuple[Any, int]]:
    """What the cells' outputs hold under a MIME type, and the index of the cell."""
    for output, index in _outputs(cells):
        if mime in output.get("data", {}):
            data = output["data"][mime]
            yield from ((each, index) for each in unpacked(data))


def _outputs(cells: Sequence[NotebookNode]) -> Iterator[tuple[NotebookNode, int]]:
    return (
        (output, index) for index, cell in enumerate(cells) for output in cell.get("outputs", ())
    )


def _problem(data: Any) -> Problem:
    """A problem that a notebook holds, which may be anybody's: what is no text of one is left
    out.
    """
    known = data if isinstance(data, Mapping) else {}
    return Problem(**{field.name: str(known.get(field.name, "")) for field in fields(Problem)})


def _of_error(output: NotebookNode, index: int, cell: NotebookNode) -> Ending:
    if output.ename == "KeyboardInterrupt":
        return Ending(Verdict.INTERRUPTED, "stopped by a signal", cell=index)
    if output.ename == "SystemExit":
        return Ending(Verdict.FAILED, "a cell ended the kernel", cell=index)
    kind = getattr(errors, output.ename, None)
    if isinstance(kind, type) and issubclass(kind, RunbookError):
        every = [_problem(each) for data, _ in shown([cell], PROBLEMS_MIME) for each in data]
        problems = tuple(dict.fromkeys(every))  # records before version 1 may show each twice
        return Ending(
            kind.verdict, output.evalue.split("\n", 1)[0], output.evalue, index, problems=problems
        )
    reason = f"{output.ename}: {output.evalue}".split("\n", 1)[0]
    reason = f"{reason[:_REASON]} …" if len(reason) > _REASON else reason
    name = cell.get("id", "")
    return Ending(Verdict.FAILED, reason, f"{reason}\n  in the cell {name}" if name else "", index)
