"""What a run has seen of its tables: as they were before, and after so many of its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Snapshot
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.run import display
from pgrunbook.run.diff import diff
from pgrunbook.run.rehearsal import Rehearsal


@dataclass
class Observation:
    """The tables, once they are chosen, and the first snapshot of them. Reads only."""

    sessions: Sessions
    schema: str
    rehearsal: Rehearsal | None
    _tables: Sequence[str] = field(default=(), init=False)
    _before: Snapshot | None = field(default=None, init=False)
    # how many blocks were done at the last one but the first
    _after: int | None = field(default=None, init=False)

    def choose(self, tables: Iterable[str]) -> None:
        """Look at these tables from now on, unless some are chosen already."""
        self._tables = self._tables or list(dict.fromkeys(tables))

    def snapshot(self, done: int) -> Snapshot:
        """Take a snapshot and show it, after so many blocks were done; the first one is the
        `before`.
        """
        taken = self._taken()
        display.snapshot(taken, "after" if self._before else "before")
        self._after = done if self._before else None
        self._before = self._before or taken
        return taken

    def lacks(self, done: int) -> bool:
        """Whether the tables were observed before, and not since so many blocks were done."""
        return self._before is not None and self._after != done

    def difference(self) -> pd.DataFrame:
        """What has changed since the first snapshot: see `diff.diff`."""
        after = self._taken()
        return diff(self._before or after, after)

    def _taken(self) -> Snapshot:
        taken = catalog.snapshot(self.sessions.look, self.schema, self._tables)
        return self.rehearsal.as_there(taken) if self.rehearsal else taken
