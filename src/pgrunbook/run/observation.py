"""Snapshots of the tables that a run is about: the first one, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from pgrunbook.planning.paths import Paths
from pgrunbook.postgres.catalog import TablesSnapshot
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.run import display, named_tables
from pgrunbook.run.diff import diff
from pgrunbook.run.rehearsal import Rehearsal
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.mentions import Relation


@dataclass
class Observation:
    """The tables, once they are chosen, and the first snapshot of them. Reads only.

    In a rehearsal the sessions are on the copy, and a snapshot names owners as on the target.
    """

    sessions: Sessions
    schema: str
    rehearsal: Rehearsal | None
    _tables: Sequence[Relation] = field(default=(), init=False)
    _before: TablesSnapshot | None = field(default=None, init=False)
    # how many blocks the run had done at the latest snapshot; None if there is only the first
    _blocks_done: int | None = field(default=None, init=False)

    def choose(self, also: Iterable[str], blocks: Iterable[Block]) -> None:
        """Look from now on at the tables that the blocks are about, and at others that are named,
        unless some are chosen already.
        """
        if self._tables:
            return
        tables, paths = [*map(named_tables.relation, also)], Paths(self.sessions.look)
        for block in blocks:
            tables += paths.along(block, block.about)
        self._tables = list(dict.fromkeys(tables))

    def snapshot(self, done: int) -> TablesSnapshot:
        """Take a snapshot and show it. `done`: how many blocks the run has done. The first snapshot
        is the `before`.
        """
        taken = self._take()
        if self._before is None:
            self._before = taken
            display.snapshot(taken, "before")
        else:
            self._blocks_done = done
            display.snapshot(taken, "after")
        return taken

    def is_outdated(self, done: int) -> bool:
        """Return whether the tables were observed, but not again since the run has done so many
        blocks.
        """
        return self._before is not None and self._blocks_done != done

    def difference(self) -> pd.DataFrame:
        """What has changed since the first snapshot: see `diff.diff`."""
        after = self._take()
        return diff(self._before or after, after)

    def _take(self) -> TablesSnapshot:
        taken = named_tables.snapshot(self.sessions.look, self.schema, self._tables)
        if self.rehearsal:
            return self.rehearsal.with_owner_on_target(taken)
        return taken
