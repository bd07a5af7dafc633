"""A notebook as it stands on the disk: its cells."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pgrunbook.errors import Refused, first_line


@dataclass(frozen=True, slots=True)
class NotebookCell:
    """One cell. `kind` is `code`, `markdown` or `raw`; one that an old notebook holds has no id."""

    id: str
    kind: str
    source: str
    tags: tuple[str, ...]

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Self:
        """Return a cell as the JSON has it."""
        tags = node["metadata"].get("tags", ())
        # the format has a text, or a list of lines
        return cls(node.get("id", ""), node["cell_type"], "".join(node["source"]), tuple(tags))

    @property
    def declares(self) -> bool:
        """Whether it is to declare the parameters."""
        return self.kind == "code" and "parameters" in self.tags


def cells(notebook: Path) -> list[NotebookCell]:
    """Return the cells of a notebook. Raises Refused if the file is none."""
    with _reading(notebook):
        return [NotebookCell.of(node) for node in _document(notebook)["cells"]]


def kernel(notebook: Path) -> str:
    """Return the name of the kernel that a notebook asks for, or nothing. Raises Refused if the
    file is none.
    """
    with _reading(notebook):
        return str(_document(notebook).get("metadata", {}).get("kernelspec", {}).get("name", ""))


def was_executed(notebook: Path) -> bool:
    """Return whether it keeps what papermill was given for an earlier run. Raises Refused if the
    file is none.
    """
    with _reading(notebook):
        document = _document(notebook)
        for node in document["cells"]:
            if "injected-parameters" in NotebookCell.of(node).tags:
                return True
        return bool(document.get("metadata", {}).get("papermill", {}).get("parameters"))


def require_valid(notebook: Path) -> None:
    """Raise Refused unless the file is what papermill can read, execute and write again. Keys that
    the format does not know are no harm.
    """
    import nbformat  # takes its time, and a kernel has no need of it

    with _reading(notebook):
        document = _document(notebook)
    try:
        document["metadata"].pop("kernelspec", None)  # `kernel_spec` says what is wrong with it
        with warnings.catch_warnings(action="ignore"):  # of ids, which are made
            nbformat.validate(document, version=4, relax_add_props=True)
        json.dumps(document, ensure_ascii=False).encode()
    except Exception as exc:  # whatever nbformat stumbles over
        raise _none(notebook, first_line(exc)) from exc


def _document(notebook: Path) -> Any:
    return json.loads(notebook.read_text(encoding="utf-8"))


@contextmanager
def _reading(notebook: Path) -> Iterator[None]:
    """Raise Refused in place of whatever tells that the file is not a notebook."""
    try:
        yield
    except (ValueError, RecursionError) as exc:  # no JSON, no UTF-8, or nested without end
        raise _none(notebook, str(exc)) from exc
    except (LookupError, TypeError, AttributeError) as exc:
        raise _none(notebook, "JSON of another form") from exc
    except OSError as exc:
        raise _none(notebook, exc.strerror or str(exc)) from exc


def _none(notebook: Path, found: str) -> Refused:
    return Refused.of(
        "is not a notebook",
        where=notebook.name,
        expected="JSON with a list of cells, as JupyterLab saves it",
        found=found,
        remedy="take the file from git again, or make a new one with `pgrunbook new`",
    )
