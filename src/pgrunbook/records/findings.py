"""What `archive verify` has found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from typing import Any, Self

from pgrunbook.errors import Problem
from pgrunbook.ledger.heads import Head
from pgrunbook.records.seal import Seal
from pgrunbook.records.untrusted_files import printable
from pgrunbook.records.words import counted


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in an archive.

    - `seals`: how many can be read. `signed`: how many of them a given key has signed; None without
      a key. `head`: the last of the chain.
    - `problems`: everything that is wrong.
    - `notes`: seals that vouch for less than others, as they say themselves; and archives that only
      ledgers know of.
    """

    seals: int
    signed: int | None
    head: Head | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        seals: int,
        signed: int | None,
        head: Head | None,
        problems: Iterable[Problem],
        checked: Iterable[Seal],
        more: Iterable[str] = (),
    ) -> Self:
        """Make a verification in which line breaks are escaped: a file may have any name, and is
        not to look like a line of ours.
        """
        # all fields: paths, digests and errors of the file system may repeat such a name
        plain = tuple(Problem(*map(printable, astuple(problem))) for problem in problems)
        notes = [*(_note(seal) for seal in checked if seal.caveat), *more]
        return cls(seals, signed, head, plain, tuple(map(printable, notes)))

    def text(self) -> str:
        """Return all that is wrong, and a line that sums it up."""
        lines: list[str] = []
        for problem in self.problems:
            lines += problem.lines()
        lines += [f"note: {note}" for note in self.notes]
        if not self.seals and not lines:
            return "no record is sealed here: nothing was checked"
        found = "unchanged"
        if self.problems:
            found = counted(len(self.problems), "problem")
        signed = "signatures not checked, as no key is given"
        if self.signed is not None:
            signed = f"{self.signed} of them signed by a key given"
        last = f", the last is {self.head.name}" if self.head else ""
        return "\n".join([*lines, f"{found}: {self.seals} sealed, {signed}{last}"])

    def data(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return {
            "seals": self.seals,
            "signed": self.signed,
            "head": self.head._asdict() if self.head else None,
            "problems": [asdict(problem) for problem in self.problems],
            "notes": list(self.notes),
        }


def _note(seal: Seal) -> str:
    note = f"{seal.notebook}: {seal.caveat}"
    return f"{note}: {seal.says}" if seal.says else note
