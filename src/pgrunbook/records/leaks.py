"""Searches a notebook for secrets, and masks them: while a record comes into being, and before it
is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nbformat import NotebookNode

from pgrunbook.records.format.mime_types import any_ours
from pgrunbook.secrets.search import Leak, clean, is_sql, leaks_in_value


class _Place(NamedTuple):
    """Where a secret may stand: in words, and as a node with one of its keys. `sql`: it is about a
    database.
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
    # In the outputs of our own methods each value is looked at by itself: what stands beside a
    # column called `password` is its type.
    leaks = []
    for place in _places(notebook, secrets):
        found = leaks_in_value(place.value, secrets, sql=place.sql)
        leaks += [Leak(place.where, what) for what in found]
    return leaks


def mask(notebook: NotebookNode, secrets: Sequence[str]) -> None:
    """Take every leak out of a notebook, in place.

    `***` stands for the secret where it can be told where it ends, and a note for the whole text
    where it cannot. A number with a leak becomes a text.
    """
    for place in list(_places(notebook, secrets)):
        if not leaks_in_value(place.value, secrets, sql=place.sql):
            continue
        cleaned = clean(place.value, secrets, sql=place.sql)
        if place.key == "id":  # an id may not hold `***`
            cleaned = place.where.partition(",")[0].replace(" ", "-")
        place.holder[place.key] = cleaned


def _places(notebook: NotebookNode, secrets: Sequence[str]) -> Iterator[_Place]:
    """Yield all places where a secret may stand, but for what is the format's own."""
    for key in notebook.keys() - {"cells", "nbformat", "nbformat_minor"}:
        yield _Place(key, notebook, key)
    for number, cell in enumerate(notebook.cells, 1):
        name = f"cell {number}"
        if cell.get("id") and not leaks_in_value(cell.id, secrets):
            name = f"cell `{cell.id}`"
        for key in sorted(cell.keys() - {"cell_type", "execution_count", "outputs"}):
            yield _Place(f"{name}, {key}", cell, key, sql=key == "source" and is_sql(cell.source))
        for position, output in enumerate(cell.get("outputs", ()), 1):
            ours = any_ours(output.get("data", ()))  # a name is a name there
            for key in sorted(output.keys() - {"output_type", "name", "execution_count"}):
                yield _Place(f"{name}, output {position}", output, key, ours)
