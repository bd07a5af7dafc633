"""What a plan foresees that its blocks change: what they have changed on a copy of the target."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pgrunbook.applying.effects import CHANGES, Effect
from pgrunbook.inventory.objects import Difference
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.timeline import TwinStep
from pgrunbook.records.words import counted


def frame(steps: Sequence[TwinStep]) -> pd.DataFrame:
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


def summary(changes: pd.DataFrame, steps: Sequence[TwinStep], decided: Sequence[Decision]) -> str:
    """Return the line that stands for the changes until a reader opens it. If not all that is
    pending could be tried, it names the last block that was.
    """
    text = f"{counted(len(changes), 'change')}, tried on a copy without rows"
    pending = [decision.block.name for decision in decided if decision.pending]
    if steps[-1].block != pending[-1]:
        text += f", up to {steps[-1].block}"
    return text
