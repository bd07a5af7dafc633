"""What a record shows, in the form in which its readers use it: frames, cells and blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ShownFrame:
    """A frame that a cell shows.

    - `kind`: its `parts.Kind`. `cell`: the id of the cell.
    - `rows`: each by column, the columns of the index first.
    - `about`: what else it says, by the keys of `parts.Frame`, such as the name of a block.
    """

    kind: str
    cell: str
    rows: Sequence[Row]
    about: Row


@dataclass(frozen=True)
class Cell:
    """A cell of the notebook.

    - `name`: its id. `kind`: `markdown` or `code`.
    - `state`: `pending` (never run), `running`, `completed`, `failed` or `interrupted`; empty if
      papermill did not run it.
    """

    name: str
    kind: str
    state: str


@dataclass(frozen=True)
class ShownBlock:
    """A block in a run: what was decided and why, its SQL if it was to run, and what came of it.

    `event` is `applied`, `adopted`, `reverted`, or empty where nothing was done: then `elapsed_ms`
    is 0.
    """

    name: str
    cell: str
    action: str
    reason: str
    sql: str
    in_transaction: bool
    event: str
    elapsed_ms: float
    statements: Sequence[Row]
    locks: Sequence[Row]
    attempts: Sequence[Row]
