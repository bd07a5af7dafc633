"""How the run of a record ended: what went wrong, was tried again, or was left alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nbformat import from_dict

from pgrunbook.errors import Problem
from pgrunbook.records.how_it_ended import final_ending, find_ending
from pgrunbook.records.record import UNENDED, Record
from pgrunbook.records.unfinished_cells import BROKEN_OFF
from pgrunbook.records.words import counted, listed

# Of more problems or blocks, the cell below has the rest.
_SHOWN = 20
_CUT = 160  # characters of a line in the index


@dataclass(frozen=True)
class Failure:
    """The problems of the error that ended a run, and the cell that it ended. `text` is what the
    error says, where the record holds no problems as data.
    """

    problems: Sequence[Problem] = ()
    text: str = ""
    cell: str = ""

    @classmethod
    def of(cls, record: Record) -> Failure:
        """The failure that a record shows; an empty one if no cell ended with an error."""
        for cell in record.notebook["cells"]:
            errors = [out for out in cell.get("outputs", ()) if out.get("output_type") == "error"]
            ending = find_ending([from_dict(cell)]) if errors else None
            if ending:
                text = "" if ending.problems else ending.error
                return cls(ending.problems, text, cell.get("id", ""))
        return cls()

    def after(self, reason: str) -> str:
        """The reason why a run ended and its first problem, in a line for a table."""
        if not self.problems or self.problems[0].what in reason:
            return _cut(reason)
        first = self.problems[0]
        what = f"{first.where}: {first.what}" if first.where else first.what
        more = len(self.problems) - 1
        rest = f" And {counted(more, 'more problem')}." if more else ""
        return f"{_cut(f'{reason} {_ended(what)}')}{rest}"

    def sentences(self) -> list[str]:
        """Each problem in a line."""
        lines = [_sentence(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"And {len(self.problems) - _SHOWN} more, which the cell shows.")
        return lines


def _sentence(problem: Problem) -> str:
    what = f"{problem.where}: {problem.what}" if problem.where else problem.what
    details = [
        f"{label} {text}"
        for label, text in (
            ("Expected:", problem.expected),
            ("Found:", problem.found),
            ("Remedy:", problem.remedy),
        )
        if text
    ]
    return " ".join(map(_ended, [what, *details]))


def verdict_and_reason(record: Record, *, is_sealed: bool) -> tuple[str, str]:
    """The verdict and the reason, as the seal has them; unknown as long as the run may be at
    work.
    """
    if record.noted.get("verdict"):
        return str(record.noted["verdict"]), str(record.noted.get("reason") or "")
    if record.unended and not is_sealed:
        return "unknown", UNENDED
    ending = final_ending([from_dict(cell) for cell in record.notebook["cells"]])
    return str(ending.verdict), ending.reason


def what_failed(record: Record) -> str:
    """The answer to what failed, was retried or was skipped: a line for each problem, and for each
    reason to leave blocks alone.
    """
    cells = [f"cell {cell.name} {cell.state}" for cell in record.cells if cell.state in BROKEN_OFF]
    cells += [f"cell {cell.name} was running" for cell in record.cells if cell.state == "running"]
    if never := sum(cell.state == "pending" for cell in record.cells):
        cells.append(f"{counted(never, 'cell')} never ran")
    tried = [block.name for block in record.blocks if block.attempts]
    if tried:
        cells.append(f"retried: {listed(tried, _SHOWN)}")
    left = [line for action in _LEFT_ALONE for line in _left(record, *action)]
    first = "; ".join(cells)
    if not first:
        first = "Nothing failed or was retried" if left else "Nothing"
    return "\n".join([f"{first[0].upper()}{first[1:]}.", *Failure.of(record).sentences(), *left])


def where_it_failed(record: Record) -> str:
    """The id of the cell that failed, or was at work, or first had to wait; or empty."""
    for cell in record.cells:
        if cell.state in (*BROKEN_OFF, "running"):
            return cell.name
    return next((block.cell for block in record.blocks if block.attempts), "")


# What was decided about a block, what came of it, and how that is called.
_LEFT_ALONE = (
    ("skip", "", "Skipped"),
    ("adopt", "adopted", "Adopted as they were"),
    ("adopt", "", "To be adopted as they are"),
)


def _left(record: Record, action: str, event: str, called: str) -> list[str]:
    """The blocks that were left alone: how many, then which, a line for each reason."""
    by_reason = defaultdict(list)
    for block in record.blocks:
        if (block.action, block.event) == (action, event):
            by_reason[block.reason].append(block.name)
    if not by_reason:
        return []
    number = sum(len(names) for names in by_reason.values())
    reasons = [f"{listed(names, _SHOWN)}: {reason}." for reason, names in by_reason.items()]
    return [f"{called}: {counted(number, 'block')}.", *reasons]


def _ended(text: str) -> str:
    """The text with one full stop at its end."""
    return f"{text.strip().rstrip('.')}."


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[:_CUT].rstrip()} …"
