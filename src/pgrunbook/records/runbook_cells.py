"""Checks that the cells of a record are those of the runbook that was run.

Who steps through a runbook may add notes, and cells that look: the seal tells of those. If a code
cell is missing, altered or out of its order, the record is that of something else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any, NamedTuple

from pgrunbook.errors import Problem
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record

_WHOLE = (
    "seal the notebook as it was executed, with every code cell of the runbook, unchanged and in "
    "its order"
)

# Cells that begin with one of these calls show something in every mode.
_SHOWS = re.compile(
    r"run\.(target|files|activity|locate|allow|preconditions|plan|columns|expect|verify|changes|"
    r"verdict)\b"
)


class _Cell(NamedTuple):
    """A cell other than those of the parameters. `shows`: whether it has outputs."""

    id: str
    kind: str
    text: str
    shows: bool = False

    @property
    def sha256(self) -> str:
        return _sha256(self.text)


@dataclass(frozen=True)
class RunbookCells:
    """The cells of a record beside those of its runbook. `passed`: the run came to its end.

    The proof is the digest of the runbook's code: it is a part of the plan, whose digest is in the
    ledger. The list of the runbook's cells in the record is no proof, anybody can edit it. It only
    helps to name the cell that differs.
    """

    record: Record
    passed: bool = False

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each code cell of the runbook that is missing, altered or out of its
        order.
        """
        if not self._code or self._is_whole:
            return
        found = list(self._missing())
        yield from found
        if not found:  # the list of cells was edited, too
            yield Problem(
                "the code of its cells is not that of the runbook that was run",
                self.record.runbook,
                f"SHA-256 {self._code}",
                f"SHA-256 {_sha256(_join(self._cells))}",
                _WHOLE,
            )

    @property
    def remark(self) -> str:
        """What is to be told of cells whose code is the runbook's: others stand among them, texts
        were altered, or a cell that shows something has no output. Empty if there is nothing.
        """
        remarks = []
        for what, names in (
            ("cells that the runbook does not have", self._added),
            ("texts that are not the runbook's", self._altered_texts),
            ("cells that show nothing", self._without_outputs),
        ):
            if names:
                remarks.append(f"{what}: {', '.join(names)}")
        return "; ".join(remarks)

    @cached_property
    def _cells(self) -> Sequence[_Cell]:
        """The record's code cells, in order."""
        return [cell for cell in self._all if cell.kind == "code"]

    @cached_property
    def _all(self) -> Sequence[_Cell]:
        cells = []
        for cell in self.record.cells_in_file:
            text, shows = "".join(cell["source"]), bool(cell.get("outputs"))
            cells.append(_Cell(cell.get("id", ""), cell["cell_type"], text, shows))
        return cells

    @cached_property
    def _about(self) -> Mapping[str, Any]:
        """What the frame of the preconditions says of the runbook; empty without such a frame."""
        frame = self.record.last(Kind.PRECONDITIONS)
        return frame.about if frame else {}

    @property
    def _code(self) -> str:
        """The SHA-256 of the runbook's code; empty if the record does not say."""
        files = self.record.plan.get("files") or self._about.get("code") or {}
        for name, sha256 in files.items():
            if name.endswith(".ipynb"):
                return str(sha256)
        return ""

    def _cells_of_kind(self, kind: str) -> Sequence[tuple[str, str]]:
        """Return the id and the digest of each cell of the runbook that is of this kind, in
        order.
        """
        return [(name, sha256) for name, of, sha256 in self._about.get("cells", ()) if of == kind]

    @cached_property
    def _ours(self) -> Sequence[_Cell]:
        """The code cells that are the runbook's, in its order, as far as they are there."""
        cells = iter(self._cells)
        found = []
        for _, sha256 in self._cells_of_kind("code"):
            for cell in cells:  # the same iterator: the search goes on behind the last one found
                if cell.sha256 == sha256:
                    found.append(cell)
                    break
        return found

    @cached_property
    def _is_whole(self) -> bool:
        # The digest is of all code joined: two cells that were made one have the same. So the cells
        # are counted, too.
        listed = self._cells_of_kind("code")
        ours = self._ours if listed else self._cells
        return len(ours) >= len(listed) and _sha256(_join(ours)) == self._code

    def _missing(self) -> Iterator[Problem]:
        listed, there = self._cells_of_kind("code"), {cell.id: cell for cell in self._cells}
        digests = [sha256 for _, sha256 in listed]
        for number in _unmatched(digests, [cell.sha256 for cell in self._cells]):
            name, sha256 = listed[number]
            cell = there.get(name)
            what, found = "a code cell of the runbook is missing", "no code cell of that id"
            if cell:
                what = "a code cell of the runbook was altered"
                if cell.sha256 == sha256:
                    what = "a code cell of the runbook stands elsewhere"
                found = _place(cell.sha256, [each.id for each in self._cells], name)
            expected = _place(sha256, [each for each, _ in listed], name)
            yield Problem(what, f"{self.record.runbook}, cell {name}", expected, found, _WHOLE)

    @property
    def _added(self) -> Sequence[str]:
        if self._code in ("", _sha256(_join(self._cells))):
            return []
        ours = {id(cell) for cell in self._ours}
        return [cell.id or "without an id" for cell in self._cells if id(cell) not in ours]

    @property
    def _altered_texts(self) -> Sequence[str]:
        texts = [cell.sha256 for cell in self._all if cell.kind != "code"]
        listed = self._cells_of_kind("markdown")
        digests = [sha256 for _, sha256 in listed]
        return [listed[number][0] for number in _unmatched(digests, texts)]

    @property
    def _without_outputs(self) -> Sequence[str]:
        """Cells of a run that came to its end whose outputs were removed."""
        if not self.passed:
            return []
        return [cell.id for cell in self._cells if _SHOWS.match(cell.text) and not cell.shows]


def _join(cells: Sequence[_Cell]) -> str:
    return "\n\n".join(cell.text for cell in cells)


def _place(sha256: str, names: Sequence[str], name: str) -> str:
    number = names.index(name)
    after = f"after the code cell {names[number - 1]}" if number else "before all code cells"
    return f"SHA-256 {sha256}, {after}"


def _unmatched(wanted: Sequence[str], found: Sequence[str]) -> Iterator[int]:
    """Yield the positions in `wanted` of what `found` lacks, or has in another order."""
    matcher = SequenceMatcher(None, wanted, found, autojunk=False)
    for what, first, end, _, _ in matcher.get_opcodes():
        if what in ("delete", "replace"):
            yield from range(first, end)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
