"""Reads the data in an executed notebook: for the reviewer's page, the seal, and comparisons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pgrunbook.records.format import bundles, parts, version_0
from pgrunbook.records.format.parts import (
    Card,
    Decided,
    Done,
    FleetShown,
    Kind,
    PlanShown,
    Snapshot,
)
from pgrunbook.records.shown import Cell, Row, ShownBlock, ShownFrame

P = TypeVar("P", bound=parts.Part)

UNENDED = "its run has not ended, or its runner was killed"


@dataclass(frozen=True)
class Record:
    """An executed notebook. What is not in it, as the run did not get so far, is empty here."""

    notebook: Mapping[str, Any]
    # the snapshots that sealing has moved out of it
    beside: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read the record in a file, with the snapshots beside it. Raises ValueError if it is not a
        notebook, NewerFormat if a later version of pgrunbook has written it.
        """
        notebook = json.loads(path.read_text(encoding="utf-8"))
        bundles.require_known(notebook, path.name)
        beside = path.with_suffix(".snapshots.json")
        if not beside.exists():
            return cls(notebook)
        said = json.loads(beside.read_text(encoding="utf-8"))
        return cls(notebook, bundles.snapshots(said, beside.name))

    @property
    def cells(self) -> Sequence[Cell]:
        """All cells, in order."""
        cells = []
        for cell in self.notebook["cells"]:
            state = cell.get("metadata", {}).get("papermill", {}).get("status") or ""
            cells.append(Cell(cell.get("id", ""), cell["cell_type"], str(state)))
        return cells

    @cached_property
    def noted(self) -> Row:
        """What our engine has noted of this execution, by the keys of `parts.Noted`; empty if
        another engine ran it.
        """
        noted = bundles.noted(self._metadata).said()
        # Another engine keeps the metadata that ours has written in an earlier execution.
        if noted.get("start_time", self.started_at) != self.started_at:
            return {}
        return noted

    @property
    def parameters(self) -> Row:
        """The parameters that papermill was given."""
        given: Row = self._papermill.get("parameters") or {}
        return given

    @property
    def target(self) -> str:
        """The name of the target by the verdict card, else by papermill's parameters; or empty."""
        return str(self.card.get("target") or self.parameters.get("target") or "")

    @property
    def runbook(self) -> str:
        """The name of the runbook by the verdict card, the list of files or papermill; or empty."""
        listed = list(self.sources)[:1]
        for name in (self.card.get("runbook"), *listed, self._papermill.get("input_path")):
            if name:
                return PurePath(name).stem
        return ""

    @property
    def started_at(self) -> str:
        """When the notebook was started, ISO 8601; empty if papermill did not run it."""
        return str(self._papermill.get("start_time") or "")

    @property
    def seconds(self) -> float:
        """How long it ran, in seconds; 0 if that is not known."""
        took = self._papermill.get("duration")
        if not took and self.fleet:
            took = self.card.get("took_ms", 0) / 1000
        return float(took or 0)

    @property
    def unended(self) -> bool:
        """Whether papermill has not ended it, and cells are running or left to run: see UNENDED."""
        if self._papermill.get("end_time"):
            return False
        return any(cell.state in ("running", "pending") for cell in self.cells)

    @cached_property
    def frames(self) -> Sequence[ShownFrame]:
        """All frames of ours, in the order of the cells."""
        found = []
        for said, cell in self._shown(parts.Frame):
            rows = [dict(zip(said.columns, row, strict=True)) for row in said.rows]
            about = said.model_dump(
                mode="json", exclude_unset=True, exclude={"kind", "columns", "rows"}
            )
            found.append(ShownFrame(said.kind, cell, rows, about))
        return found

    def last(self, kind: str) -> ShownFrame | None:
        """Return the last frame of a kind; None if there is none. In a notebook whose cell was run
        again, the last one counts.
        """
        for frame in reversed(self.frames):
            if frame.kind == kind:
                return frame
        return None

    def rows(self, kind: str) -> Sequence[Row]:
        """Return the rows of the last frame of a kind; none if there is no such frame."""
        frame = self.last(kind)
        return frame.rows if frame else ()

    def by_block(self, kind: Kind) -> dict[str, Sequence[Row]]:
        """Return the rows of the last frame of a kind, by block."""
        found = {}
        for frame in self.frames:
            if frame.kind == kind:
                found[frame.about.get("block", "")] = frame.rows
        return found

    @cached_property
    def identity(self) -> Row:
        """The identity card of the last run, by the keys of `parts.IdentityCard`. What it does not
        say is not there.
        """
        return next(reversed(self.identities), {})

    @property
    def sources(self) -> Mapping[str, str]:
        """The SHA-256 of each file that was run, by its path from the project's root."""
        frame = self.last(Kind.SOURCES)
        return frame.about["files"] if frame else {}

    @cached_property
    def blocks(self) -> Sequence[ShownBlock]:
        """The blocks that the run got to, in order."""
        done = {said.block: said for said, _ in self._shown(Done)}
        decided = {said.block: (said, cell) for said, cell in self._shown(Decided)}
        return [self._block(said, cell, done.get(name)) for name, (said, cell) in decided.items()]

    def _block(self, decided: Decided, cell: str, done: Done | None) -> ShownBlock:
        rows: dict[str, Sequence[Row]] = {}
        for frame in self.frames:
            if frame.about.get("block") == decided.block:
                rows[frame.kind] = frame.rows  # if a cell shows it again, the last counts
        statements = rows.get(Kind.STATEMENTS, ())
        in_transaction = decided.in_transaction
        if in_transaction is None:
            in_transaction = version_0.in_transaction(statements)
        return ShownBlock(
            name=decided.block,
            cell=cell,
            action=decided.action,
            reason=decided.reason,
            sql=decided.sql,
            in_transaction=in_transaction,
            event=done.event if done else "",
            elapsed_ms=done.elapsed_ms if done else 0.0,
            statements=statements,
            locks=rows.get(Kind.LOCKS, ()),
            attempts=rows.get(Kind.ATTEMPTS, ()),
        )

    @cached_property
    def plan(self) -> Row:
        """The plan, by the keys of `parts.PlanShown`; empty if the run did not get to one."""
        for said, _ in self._shown(PlanShown):
            return said.said()
        return {}

    @cached_property
    def fleet(self) -> Row:
        """A fleet's run, by the keys of `parts.FleetShown`; empty in the record of a target."""
        for said, _ in self._shown(FleetShown):
            return said.said()
        return {}

    @property
    def plan_cell(self) -> str:
        """The id of the cell that shows the plan; empty if none does."""
        for _, cell in self._shown(PlanShown):
            return cell
        return ""

    @property
    def card(self) -> Row:
        """The verdict card; empty if the run did not come to its end."""
        return next(iter(self.cards), {})

    @property
    def cards(self) -> Sequence[Row]:
        """The verdict card of each run that came to its end, by the keys of `parts.Card`. There are
        several in a notebook whose first cell was run again.
        """
        return [said.said() for said, _ in self._shown(Card)]

    @property
    def identities(self) -> Sequence[Row]:
        """The identity card of each run, in order, as `identity`."""
        return [frame.about["target"] for frame in self.frames if frame.kind == Kind.IDENTITY]

    @property
    def run_id(self) -> str:
        """The id of the run; empty if the notebook does not say."""
        return str(self.noted.get("run_id") or self.identity.get("run", ""))

    @property
    def runs(self) -> Sequence[str]:
        """The id of each run that it names, the one that our engine has noted first."""
        named = [self.noted.get("run_id")]
        named += [card.get("run") for card in (*self.identities, *self.cards)]
        return list(dict.fromkeys(str(run) for run in named if run))

    @property
    def done(self) -> Sequence[Row]:
        """What was done with blocks, as each cell shows it: `block`, `event`, `started_at`."""
        return [said.said() for said, _ in self._shown(Done)]

    @property
    def decided(self) -> Sequence[Row]:
        """What was decided about blocks, as each cell shows it: `block`, `action`, `reason`, `sql`,
        its digests.
        """
        return [said.said() for said, _ in self._shown(Decided)]

    @property
    def cells_in_file(self) -> Sequence[Row]:
        """The cells as they are in the file, without those of the parameters."""
        cells = []
        for cell in self.notebook["cells"]:
            if _PARAMETERS.isdisjoint(cell.get("metadata", {}).get("tags", ())):
                cells.append(cell)
        return cells

    def snapshots(self) -> dict[str, Any]:
        """Return the snapshots of the tables.

        - `before` and `after`: frames by name, each with `columns` and `rows`; as far as the run
          took them.
        - `expected`: what the blocks make: by block, lists of kind, table, name and value.
        """
        snapshots: dict[str, Any] = {}
        for said, _ in self._shown(Snapshot):
            if said.frames:
                snapshots[said.when] = said.said()["frames"]
        expected = {said.block: list(said.makes) for said, _ in self._shown(Decided) if said.makes}
        if expected:
            snapshots["expected"] = expected
        return {**snapshots, **self.beside}

    @property
    def _metadata(self) -> Row:
        return self.notebook.get("metadata") or {}

    @property
    def _papermill(self) -> Row:
        return self._metadata.get("papermill") or {}

    def _shown(self, kind: type[P]) -> Iterator[tuple[P, str]]:
        """Yield each part of this kind in the outputs of the cells, with the id of its cell."""
        for cell in self.notebook["cells"]:
            for output in cell.get("outputs", ()):
                for said in bundles.parts(output.get("data", {}), kind):
                    yield said, cell.get("id", "")


_PARAMETERS = {"parameters", "injected-parameters"}
