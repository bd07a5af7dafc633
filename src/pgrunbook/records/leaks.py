"""Searches a notebook for secrets, and masks them, while it is executed and before it is sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nbformat import NotebookNode

from pgrunbook.records.format.mime_types import any_ours
from pgrunbook.secrets.search import Leak, clean, is_sql, leaks_in_value


class _Place(NamedTuple):
    """A place where a secret may stand: a node of the notebook and one of its keys. `where` says so
    in words. `sql`: the value is SQL, or about a database.
    """

    where: str
    holder: NotebookNode
    key: str
    sql: bool = False

    @property
    def value(self) -> Any:
        return self.holder[self.key]


def search(notebook: NotebookNode, secrets: Sequence[str]) -> list[Leak]:
    """Return the leaks in a notebook: in sources, outputs, attachments and metadata, in keys as
    well as values.
    """
    # In outputs of our own each value is searched by itself: what stands beside the name of a
    # column `password` is its type, and not a password.
    leaks = []
    for place in _places(notebook, secrets):
        found = leaks_in_value(place.value, secrets, sql=place.sql)
        leaks += [Leak(place.where, what) for what in found]
    return leaks


def mask(notebook: NotebookNode, secrets: Sequence[str]) -> None:
    """Mask every leak in a notebook, in place.

    `***` stands for a secret if its end can be told; else a note stands for the whole text. A
    number with a leak becomes a text.
    """
    for place in list(_places(notebook, secrets)):
        if not leaks_in_value(place.value, secrets, sql=place.sql):
            continue
        cleaned = clean(place.value, secrets, sql=place.sql)
        if place.key == "id":  # an id may not hold `***`
            cleaned = place.where.partition(",")[0].replace(" ", "-")
        place.holder[place.key] = cleaned


def _places(notebook: NotebookNode, secrets: Sequence[str]) -> Iterator[_Place]:
    """Yield all places where a secret may stand: everything but what nbformat prescribes."""
    for key in notebook.keys() - {"cells", "nbformat", "nbformat_minor"}:
        yield _Place(key, notebook, key)
    for number, cell in enumerate(notebook.cells, 1):
        name = f"cell {number}"
        if cell.get("id") and not leaks_in_value(cell.id, secrets):
            name = f"cell `{cell.id}`"
        for key in sorted(cell.keys() - {"cell_type", "execution_count", "outputs"}):
            yield _Place(f"{name}, {key}", cell, key, sql=key == "source" and is_sql(cell.source))
        for position, output in enumerate(cell.get("outputs", ()), 1):
            ours = any_ours(output.get("data", ()))
            for key in sorted(output.keys() - {"output_type", "name", "execution_count"}):
                yield _Place(f"{name}, output {position}", output, key, ours)
