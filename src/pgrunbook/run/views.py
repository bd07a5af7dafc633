"""The cells of a run that only show: what it works on, and what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from IPython.display import Markdown

from pgrunbook.applying.effects import CHANGES, Effect
from pgrunbook.inventory.objects import Difference
from pgrunbook.planning import decisions, hazards
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.timeline import TwinStep
from pgrunbook.postgres import catalog
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.words import counted
from pgrunbook.run import display, named_tables, target_card, verify
from pgrunbook.run.lifetime import Lifetime
from pgrunbook.runbooks import parameters, squawk


class Views(Lifetime):
    """The cells that decide nothing and change nothing. Each shows a frame."""

    # IPython calls this where the value of a cell is the run itself:
    # https://ipython.readthedocs.io/en/stable/config/integrating.html
    def _ipython_display_(self) -> None:
        """What a cell shows of a run: the parameters that are not as they are by default."""
        given = []
        for name, (value, default) in parameters.non_defaults(self.parameters).items():
            given.append((name, str(value), str(default)))
        columns = ["parameter", "value", "default"]
        shown = pd.DataFrame(given, columns=columns, dtype="str").set_index("parameter")
        display.frame(shown)

    def help(self) -> Markdown:
        """What every parameter takes, what the cells show, and what the words mean."""
        return display.guide()

    @property
    def target(self) -> pd.DataFrame:
        """The target's identity card and this run's: index `identity`, column `value`. Its row
        `given` has the parameters that are not as they are by default.
        """
        with self._cell():
            card, unfinished = self._card()
            frame = target_card.frame(card, unfinished)
            return display.named(frame, Kind.IDENTITY, target=card)

    @property
    def files(self) -> pd.DataFrame:
        """What is run: index `file`; columns `deploy`, `verify`, `revert`: how the SHA-256 of each
        file begins.
        """
        shown = display.named(self._sources.frame(), Kind.SOURCES, files=self._sources.files)
        return display.folded(shown, counted(len(self._sources.files), "file"))

    def activity(self) -> pd.DataFrame:
        """What is going on in the database: index `what`; columns `found`, `remark` (str).

        Its size, sessions, oldest transaction id and durability; transactions open for more than a
        minute, and prepared ones; replicas and replication slots; indexes of the schema that are
        not valid; vacuums at work. A row says so if the role is not shown all of it.
        """
        with self._cell():
            found = catalog.frame(
                self._preparation.look,
                "circumstances",
                ["what"],
                schema=self._schema,
                longer_than="1 minute",
            )
            return display.named(found, Kind.CIRCUMSTANCES)

    def plan(self) -> pd.DataFrame:
        """Show what will be done with each block: index `block`; columns `title`, `decision`,
        `reason`. Before that, what it puts at risk, see `hazards.frame`; what each changes, as a
        copy of the target has shown, see `_foreseen`; and what blocks in batches have to do,
        see `estimates.frame`.
        """
        if self._plan and self._plan.steps:
            display.digest(self._plan, self._preparation.rehearsals)
            display.frame(self._hazards)
        steps = self._preparation.foreseen
        changes = _foreseen(steps)
        if len(changes):
            summary = _summary(changes, steps, self._decisions)
            display.frame(display.folded(display.named(changes, Kind.FORESEEN), summary))
        backfills = self._preparation.backfills
        if backfills is not None and len(backfills):
            display.frame(display.named(backfills, Kind.BACKFILLS))
        if self.parameters.mode == "rehearse":
            pending = [d.block for d in self._decisions if d.pending]
            display.frame(display.named(squawk.frame(pending), Kind.SQUAWK))
        return display.named(decisions.frame(self._decisions), Kind.DECISIONS)

    @property
    def _hazards(self) -> pd.DataFrame:
        shown = hazards.frame(self._preparation.risks)
        return display.named(shown, Kind.HAZARDS, mode=self.parameters.mode)

    def columns(self, table: str) -> pd.DataFrame:
        """The columns of one table as it is now, `table` or `schema.table`: index `column`;
        `type`, `nullable`, `default`, `comment`.
        """
        with self._cell():
            found = named_tables.columns(self._look, self._schema, [table])
            return display.named(found.droplevel("table"), Kind.COLUMNS, table=table)

    def expect(self, tables: Sequence[str], expected: Mapping[str, str]) -> pd.DataFrame:
        """Columns that several tables should have, with their types: index `table`, `column`.

        Columns: `present` (yes or NO), `type`, `nullable`, `default`, `as_expected` (yes or NO),
        all str.
        """
        with self._cell():
            found = named_tables.columns(self._look, self._schema, tables)
            return display.named(
                verify.expected_columns(found, tables, expected), Kind.EXPECTED_COLUMNS
            )


def _foreseen(steps: Sequence[TwinStep]) -> pd.DataFrame:
    """Return a row a change: index `block`, `object`; columns `change`, `what`, all str. They are
    what the effect of the block will say, see `Effect.frame`; rows are not foreseen.
    """
    rows = []
    for step in steps:
        changes = []
        for each, (before, after) in sorted(step.changes.items()):
            changes.append(Difference(each, before, after))
        rows += [[step.block, *change] for change in Effect(changes).changes]
    columns = ["block", *CHANGES]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index(["block", "object"])


def _summary(changes: pd.DataFrame, steps: Sequence[TwinStep], decided: Sequence[Decision]) -> str:
    """Return the line that stands for the changes until a reader opens it. If not all that is
    pending could be tried, it names the last block that was.
    """
    text = f"{counted(len(changes), 'change')}, tried on a copy without rows"
    pending = [decision.block.name for decision in decided if decision.pending]
    if steps[-1].block != pending[-1]:
        text += f", up to {steps[-1].block}"
    return text
