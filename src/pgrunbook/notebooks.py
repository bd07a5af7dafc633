"""A notebook as it stands on the disk: its cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pgrunbook.errors import Refused


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `kind` is `code`, `markdown` or `raw`; one that an old notebook holds has no id."""

    id: str
    kind: str
    source: str
    tags: tuple[str, ...]

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Self:
        """A cell as the JSON has it."""
        tags = node["metadata"].get("tags", ())
        return cls(node.get("id", ""), node["cell_type"], "".join(node["source"]), tuple(tags))

    @property
    def declares(self) -> bool:
        """Whether it is to declare the parameters."""
        return self.kind == "code" and "parameters" in self.tags


def cells(notebook: Path) -> list[Cell]:
    """The cells of a notebook. Raises Refused if the file is none."""
    try:
        return [Cell.of(node) for node in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]
    except ValueError as exc:  # no JSON, or no UTF-8
        raise _none(notebook, str(exc)) from exc
    except (LookupError, TypeError, AttributeError) as exc:
        raise _none(notebook, "JSON of another form") from exc


def _none(notebook: Path, found: str) -> Refused:
    return Refused.of(
        "is not a notebook",
        where=notebook.name,
        expected="JSON with a list of cells, as JupyterLab saves it",
        found=found,
        remedy="take the file from git again, or make a new one with `pgrunbook new`",
    )
