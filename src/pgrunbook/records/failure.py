"""Answers from a record what failed in the run, what was tried again, and what was left alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nbformat import from_dict

from pgrunbook.errors import Problem
from pgrunbook.records.how_it_ended import final_ending, find_ending
from pgrunbook.records.record import UNENDED, Record
from pgrunbook.records.unfinished_cells import BROKEN_OFF
from pgrunbook.records.words import counted, listed, sentence

_SHOWN = 20  # problems or blocks; the cell itself shows all
_CUT = 160  # characters of a line in the index


@dataclass(frozen=True)
class Failure:
    """The error that ended a run: its problems, and the id of the cell. `text` is the text of the
    error where the record has no problems as data.
    """

    problems: Sequence[Problem] = ()
    text: str = ""
    cell: str = ""

    @classmethod
    def of(cls, record: Record) -> Failure:
        """Return the failure in a record; an empty one if no cell ended with an error."""
        for cell in record.notebook["cells"]:
            outputs = cell.get("outputs", ())
            if not any(output.get("output_type") == "error" for output in outputs):
                continue
            ending = find_ending([from_dict(cell)])
            if ending:
                text = "" if ending.problems else ending.error
                return cls(ending.problems, text, cell.get("id", ""))
        return cls()

    def after(self, reason: str) -> str:
        """Return the reason of a verdict with the first problem, in a line for a table."""
        # the reason of some errors is their only problem
        if not self.problems or self.problems[0].what in reason:
            return _shorten(reason)
        text = _shorten(f"{reason} {_with_full_stop(_place_and_what(self.problems[0]))}")
        more = len(self.problems) - 1
        return f"{text} And {counted(more, 'more problem')}." if more else text

    def sentences(self) -> list[str]:
        """Return each problem in a line; of many, the first ones, and how many more there are."""
        lines = [_sentences(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"And {len(self.problems) - _SHOWN} more, which the cell shows.")
        return lines


def _sentences(problem: Problem) -> str:
    sentences = [_with_full_stop(_place_and_what(problem))]
    for label, text in (
        ("Expected:", problem.expected),
        ("Found:", problem.found),
        ("Remedy:", problem.remedy),
    ):
        if text:
            sentences.append(_with_full_stop(f"{label} {text}"))
    return " ".join(sentences)


def _place_and_what(problem: Problem) -> str:
    return f"{problem.where}: {problem.what}" if problem.where else problem.what


def verdict_and_reason(record: Record, *, is_sealed: bool) -> tuple[str, str]:
    """Return the verdict and the reason as the seal has them; `unknown` while the run may be at
    work.
    """
    if record.noted.get("verdict"):
        return str(record.noted["verdict"]), str(record.noted.get("reason") or "")
    if record.unended and not is_sealed:
        return "unknown", UNENDED
    ending = final_ending([from_dict(cell) for cell in record.notebook["cells"]])
    return str(ending.verdict), ending.reason


def what_failed(record: Record) -> str:
    """Return what failed, was retried or was skipped: a line for each problem, and for each reason
    to leave blocks alone.
    """
    parts = [f"cell {cell.name} {cell.state}" for cell in record.cells if cell.state in BROKEN_OFF]
    parts += [f"cell {cell.name} was running" for cell in record.cells if cell.state == "running"]
    never_ran = sum(cell.state == "pending" for cell in record.cells)
    if never_ran:
        parts.append(f"{counted(never_ran, 'cell')} never ran")
    retried = [block.name for block in record.blocks if block.attempts]
    if retried:
        parts.append(f"retried: {listed(retried, _SHOWN)}")
    left_alone: list[str] = []
    for action, event, heading in _LEFT_ALONE:
        left_alone += _left_alone(record, action, event, heading)
    if not parts:
        parts.append("Nothing failed or was retried" if left_alone else "Nothing")
    first = sentence("; ".join(parts))
    return "\n".join([first, *Failure.of(record).sentences(), *left_alone])


def where_it_failed(record: Record) -> str:
    """Return the id of the cell that failed, or was running; else that of the first block that was
    retried; or empty.
    """
    for cell in record.cells:
        if cell.state in (*BROKEN_OFF, "running"):
            return cell.name
    for block in record.blocks:
        if block.attempts:
            return block.cell
    return ""


# What was decided about a block, the event that came of it, and the heading for such blocks.
_LEFT_ALONE = (
    ("skip", "", "Skipped"),
    ("adopt", "adopted", "Adopted as they were"),
    ("adopt", "", "To be adopted as they are"),
)


def _left_alone(record: Record, action: str, event: str, heading: str) -> list[str]:
    """Return the blocks that were left alone: how many, then which, a line for each reason."""
    by_reason = defaultdict(list)
    for block in record.blocks:
        if (block.action, block.event) == (action, event):
            by_reason[block.reason].append(block.name)
    if not by_reason:
        return []
    number = sum(len(names) for names in by_reason.values())
    reasons = [f"{listed(names, _SHOWN)}: {reason}." for reason, names in by_reason.items()]
    return [f"{heading}: {counted(number, 'block')}.", *reasons]


def _with_full_stop(text: str) -> str:
    return f"{text.strip().rstrip('.')}."


def _shorten(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[:_CUT].rstrip()} …"
