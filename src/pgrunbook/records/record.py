"""What an executed notebook says, read as data: by the reviewer's page, and by whoever compares two
runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from pgrunbook.mime_types import (
    BLOCK_MIME,
    DECISION_MIME,
    FRAME_MIME,
    PLAN_MIME,
    SNAPSHOT_MIME,
    VERDICT_MIME,
)
from pgrunbook.records.card import unpacked

Row = Mapping[str, Any]

UNENDED = "its run has not ended, or its runner was killed"


@dataclass(frozen=True)
class Frame:
    """A frame that a method of a run returned: its kind, the cell that shows it, and its rows by
    column, the index's columns first. `about` holds what else is known, such as the block that it
    is about.

    Kinds, each named after the method: `identity`, `sources`, `circumstances`, `admission`,
    `preconditions`, `decisions`, `hazards`, `squawk`, `columns`, `expected columns`,
    `verification` (`part of the verification` if only some blocks were verified), `difference`; and
    about a block: `statements`, `locks`, `attempts`.
    """

    kind: str
    cell: str
    rows: Sequence[Row]
    about: Row


@dataclass(frozen=True)
class Cell:
    """A cell: its id, its kind (`markdown` or `code`), and what became of it: `pending` (never
    run), `running`, `completed`, `failed`, `interrupted`; empty if papermill did not run it.
    """

    name: str
    kind: str
    state: str


@dataclass(frozen=True)
class Block:
    """A block in a run: what was decided and why, its SQL if it was to run, and what came of it.

    `event` is `applied`, `adopted`, `reverted`, or empty where nothing was done; `elapsed_ms` and
    `started_at` (ISO 8601, UTC) go with it. The digests are those of `blocks.Block`.
    """

    name: str
    cell: str
    title: str
    action: str
    reason: str
    sql: str
    source_sha256: str
    tree_sha256: str
    event: str = ""
    started_at: str = ""
    elapsed_ms: float = 0.0
    statements: Sequence[Row] = ()
    locks: Sequence[Row] = ()
    attempts: Sequence[Row] = ()


@dataclass(frozen=True)
class Record:
    """An executed notebook. What it does not hold, because the run did not get so far, is empty."""

    notebook: Mapping[str, Any]
    # the snapshots that sealing has moved out of it
    beside: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file, with the snapshots beside it. Raises ValueError if it is no
        notebook.
        """
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
            raise ValueError("not a notebook")
        snapshots = path.with_suffix(".snapshots.json")
        return cls(
            notebook,
            json.loads(snapshots.read_text(encoding="utf-8")) if snapshots.exists() else {},
        )

    @property
    def cells(self) -> Sequence[Cell]:
        """All cells, in order."""
        return [
            Cell(cell.get("id", ""), cell["cell_type"], _state(cell))
            for cell in self.notebook["cells"]
        ]

    @cached_property
    def noted(self) -> Row:
        """What our engine has noted of this execution: `verdict`, `reason`, `run_id`; nothing if
        another one ran it.
        """
        noted: Row = self._metadata.get("pgrunbook") or {}
        return noted if noted.get("start_time", self.started_at) == self.started_at else {}

    @property
    def parameters(self) -> Row:
        """What papermill was given."""
        given: Row = self._papermill.get("parameters") or {}
        return given

    @property
    def target(self) -> str:
        """The target's name, as the verdict's card or what papermill was given has it; or empty."""
        return str(self.card.get("target", "")).partition(": ")[0] or str(
            self.parameters.get("target") or ""
        )

    @property
    def runbook(self) -> str:
        """Which runbook was run, as the verdict's card, the list of what was run or papermill names
        it; or empty.
        """
        named = (
            self.card.get("runbook")
            or next(iter(self.sources), "")
            or self._papermill.get("input_path")
            or ""
        )
        return PurePath(named).stem

    @property
    def started_at(self) -> str:
        """When the notebook was started, ISO 8601; empty if papermill did not run it."""
        return str(self._papermill.get("start_time") or "")

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return float(self._papermill.get("duration") or 0)

    @property
    def unended(self) -> bool:
        """Whether papermill has not ended it, though it is at a cell or has some left: see
        UNENDED.
        """
        return not self._papermill.get("end_time") and any(
            cell.state in ("running", "pending") for cell in self.cells
        )

    @cached_property
    def frames(self) -> Sequence[Frame]:
        """All frames of ours, in the order of the cells."""
        found = []
        for data, cell in self._shown(FRAME_MIME):
            rows = [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]
            about = {
                key: value for key, value in data.items() if key not in ("kind", "columns", "rows")
            }
            found.append(Frame(data["kind"], cell, rows, about))
        return found

    def last(self, kind: str) -> Frame | None:
        """The last frame of a kind: where a cell was run again, what counts."""
        return next((frame for frame in reversed(self.frames) if frame.kind == kind), None)

    def rows(self, kind: str) -> Sequence[Row]:
        """The rows of the last frame of a kind; none if there is no such frame."""
        frame = self.last(kind)
        return frame.rows if frame else ()

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """The target's identity card and the run's."""
        return {row["identity"]: row["value"] for row in self.rows("identity")}

    @property
    def sources(self) -> Mapping[str, str]:
        """SHA-256 of each file that was run, by its path from the project's root."""
        frame = self.last("sources")
        return frame.about["files"] if frame else {}

    @cached_property
    def blocks(self) -> Sequence[Block]:
        """The blocks that the run came to, in order."""
        done = {data["block"]: data for data, _ in self._shown(BLOCK_MIME)}
        decided = {data["block"]: (data, cell) for data, cell in self._shown(DECISION_MIME)}
        return [
            self._block(data, cell, done.get(name, {})) for name, (data, cell) in decided.items()
        ]

    def _block(self, decided: Row, cell: str, done: Row) -> Block:
        def about(kind: str) -> Sequence[Row]:
            found = [
                f
                for f in self.frames
                if f.kind == kind and f.about.get("block") == decided["block"]
            ]
            return found[-1].rows if found else ()

        return Block(
            name=decided["block"],
            cell=cell,
            title=decided["title"],
            action=decided["action"],
            reason=decided["reason"],
            sql=decided["sql"],
            source_sha256=decided["source_sha256"],
            tree_sha256=decided.get("tree_sha256", ""),
            event=done.get("event", ""),
            started_at=done.get("started_at", ""),
            elapsed_ms=done.get("elapsed_ms", 0.0),
            statements=about("statements"),
            locks=about("locks"),
            attempts=about("attempts"),
        )

    @property
    def plan(self) -> Row:
        """The plan, as `plan.Plan.data`; empty if the run did not come to one."""
        return next((data for data, _ in self._shown(PLAN_MIME)), {})

    @property
    def plan_cell(self) -> str:
        """The cell that shows the plan; empty if none does."""
        return next((cell for _, cell in self._shown(PLAN_MIME)), "")

    @property
    def card(self) -> Row:
        """The verdict's card; empty if the run did not come to its end."""
        return next(iter(self.cards), {})

    @property
    def cards(self) -> Sequence[Row]:
        """The card of each run that came to its end: in a notebook that was begun again there may
        be several.
        """
        return [data for data, _ in self._shown(VERDICT_MIME)]

    @property
    def identities(self) -> Sequence[Mapping[str, str]]:
        """The identity card of each run, in order."""
        frames = [frame for frame in self.frames if frame.kind == "identity"]
        return [{row["identity"]: row["value"] for row in frame.rows} for frame in frames]

    @property
    def runs(self) -> Sequence[str]:
        """The id of each run that it names, the one of our engine first."""
        named = [
            self.noted,
            *({"run_id": card.get("run")} for card in (*self.identities, *self.cards)),
        ]
        return list(dict.fromkeys(str(each["run_id"]) for each in named if each.get("run_id")))

    @property
    def done(self) -> Sequence[Row]:
        """What was done with blocks, as each cell shows it: `block`, `event`, `started_at`."""
        return [data for data, _ in self._shown(BLOCK_MIME)]

    @property
    def decided(self) -> Sequence[Row]:
        """What was decided about blocks, as each cell shows it: `block`, `action`, `reason`, `sql`,
        its digests.
        """
        return [data for data, _ in self._shown(DECISION_MIME)]

    @property
    def written(self) -> Sequence[Row]:
        """Its cells as they stand in the file, but for those of the parameters."""
        return [cell for cell in self.notebook["cells"] if not _tags(cell) & _PARAMETERS]

    def snapshots(self) -> dict[str, Any]:
        """`before` and `after`, each with its frames, as far as the run took them, and what the
        blocks make.

        Frames are mappings of `columns` and `rows`. `expected` has, by block, lists of kind, table,
        name and value.
        """
        taken = {
            data["when"]: data["frames"]
            for data, _ in self._shown(SNAPSHOT_MIME)
            if "frames" in data
        }
        made = {
            data["block"]: data["makes"]
            for data, _ in self._shown(DECISION_MIME)
            if "makes" in data
        }
        return {**taken, **({"expected": made} if made else {}), **self.beside}

    @property
    def _metadata(self) -> Row:
        return self.notebook.get("metadata") or {}

    @property
    def _papermill(self) -> Row:
        return self._metadata.get("papermill") or {}

    def _shown(self, mime: str) -> Iterator[tuple[Any, str]]:
        for cell in self.notebook["cells"]:
            for output in cell.get("outputs", ()):
                if mime in output.get("data", {}):
                    data = output["data"][mime]
                    yield from ((each, cell.get("id", "")) for each in unpacked(data))


_PARAMETERS = {"parameters", "injected-parameters"}


def _tags(cell: Row) -> set[str]:
    return set(cell.get("metadata", {}).get("tags", ()))


def _state(cell: Row) -> str:
    return str(cell.get("metadata", {}).get("papermill", {}).get("status") or "")
