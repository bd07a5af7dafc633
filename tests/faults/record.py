"""What an executed notebook claims, as a reviewer would read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pgrunbook.records.format.mime_types import BLOCK_MIME, VERDICT_MIME

_COULD_NOT_ASK = "could not be asked"


@dataclass(frozen=True)
class Record:
    """An executed notebook on the disk. Raises if it cannot be read: a file that was written in
    part.
    """

    path: Path

    @cached_property
    def notebook(self) -> dict[str, Any]:
        """The file as it is."""
        loaded: dict[str, Any] = json.loads(self.path.read_text())
        return loaded

    @property
    def verdict(self) -> str | None:
        """The verdict that the engine wrote; None if it did not get that far."""
        metadata: dict[str, str] = self.notebook["metadata"].get("pgrunbook", {})
        return metadata.get("verdict")

    @property
    def says_passed(self) -> bool:
        """Whether anything in it, read by a program or by a person, says that the run passed."""
        cards = [card["verdict"] for card in self._shown(VERDICT_MIME)]
        return "passed" in (self.verdict, *cards) or "PASSED" in self.banner

    @cached_property
    def banner(self) -> str:
        """The Markdown on top; empty if there is none."""
        tagged = [
            cell
            for cell in self.notebook["cells"]
            if "pgrunbook-banner" in cell["metadata"].get("tags", [])
        ]
        return "".join(tagged[0]["source"]) if tagged else ""

    @property
    def committed(self) -> list[tuple[str, str]] | None:
        """Block and event of all that the run has committed, as the record says; None if it cannot
        tell.
        """
        if _COULD_NOT_ASK in self.banner:
            return None
        return (
            re.findall(r"`([^`]+)` (applied|adopted|in part)", self.banner)
            if self.banner
            else self.shown
        )

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Block and event of each outcome that a cell shows."""
        return [(data["block"], data["event"]) for data in self._shown(BLOCK_MIME)]

    @property
    def states(self) -> list[tuple[str, str, bool]]:
        """Of each cell of the runbook: its id, its state, and whether it carries a trace of having
        been run.
        """
        return [
            (cell["id"], cell["metadata"]["papermill"]["status"], _ran(cell))
            for cell in self.notebook["cells"]
            if "pgrunbook-banner" not in cell["metadata"].get("tags", [])
        ]

    def _shown(self, mime: str) -> Iterator[dict[str, Any]]:
        for cell in self.notebook["cells"]:
            for output in cell.get("outputs", ()):
                if mime in output.get("data", {}):
                    yield output["data"][mime]


def _ran(cell: dict[str, Any]) -> bool:
    if cell["cell_type"] != "code":  # text leaves no trace
        return bool(cell["metadata"]["papermill"]["status"] == "completed")
    return cell["execution_count"] is not None
