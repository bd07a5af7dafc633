"""A seal: the envelope beside an executed notebook, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Only for types: it takes 8 MB, and a run that begins only checks whether it can be sealed.
    from securesystemslib.dsse import Envelope

    from pgrunbook.records.attestation import Statement

# Words in a seal about how it was made. They are shown wherever its record is.
BY_HAND = "by hand"
NOT_COMPARED = "not compared with the ledger"


@dataclass(frozen=True)
class Seal:
    """A seal: its path from the archive's root on, the digest of its bytes, and what they say."""

    name: str
    sha256: str
    statement: Statement
    envelope: Envelope = field(repr=False)

    @property
    def sequence(self) -> int:
        """Its place in the chain, counted from 1."""
        return self.statement.predicate.sequence

    @property
    def archive(self) -> str:
        """The digest of the first seal of its chain."""
        return self.statement.predicate.archive or self.sha256

    @property
    def notebook(self) -> str:
        """The path of the executed notebook from the root on."""
        return self.statement.subject[0].name

    @property
    def by_hand(self) -> bool:
        """Whether somebody has sealed it later, and not the run itself at its end."""
        return bool(self.statement.predicate.run.get("sealed") == BY_HAND)

    @property
    def origin(self) -> str:
        """How the seal was made, if that is to be told: `sealed by hand, not compared with the
        ledger`. Else empty.
        """
        parts = []
        if self.by_hand:
            parts.append(f"sealed {BY_HAND}")
        compared = self._ledger.get("compared")
        if compared is False:
            parts.append(NOT_COMPARED)
        elif compared is True and self.by_hand:
            parts.append("compared with the ledger")
        return ", ".join(parts)

    @property
    def says(self) -> str:
        """What the target's ledger said, or why it could not be asked; empty if that is not
        known.
        """
        return str(self._ledger.get("says", ""))

    @property
    def remark(self) -> str:
        """What is to be told of the cells, though the ledger says the same; or empty."""
        return str(self._ledger.get("remark", ""))

    @property
    def caveat(self) -> str:
        """Why this seal vouches for less than others, in a few words; else empty. It is shown
        wherever its record is.
        """
        if NOT_COMPARED in self.origin:
            return self.origin
        if not self.remark:
            return ""
        return ", ".join(filter(None, [self.origin, self.remark]))

    @property
    def _ledger(self) -> Mapping[str, Any]:
        """What the seal says of the target's ledger; an old one says nothing."""
        said = self.statement.predicate.run.get("ledger")
        return said if isinstance(said, Mapping) else {}
