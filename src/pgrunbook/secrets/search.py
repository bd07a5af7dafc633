"""The search of a record for secrets: those that the run could use, in whatever form, and shapes of
others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pgrunbook.errors import Problem
from pgrunbook.mime_types import any_ours
from pgrunbook.secrets.encodings import holds, searched
from pgrunbook.secrets.patterns import KNOWN, MASK, mask_shapes, names_secret, shapes, values

if TYPE_CHECKING:
    from nbformat import NotebookNode

WITHHELD = f"{MASK} withheld: this text held a secret {MASK}"


@dataclass(frozen=True, slots=True)
class Leak:
    """Where one secret stands, never the secret itself."""

    where: str
    what: str

    @property
    def known(self) -> bool:
        """Whether it is one of the run's own, and not only what looks like a secret."""
        return self.what == KNOWN

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


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
    """The leaks in a notebook: in sources, outputs, attachments, metadata, in keys as well as
    values.

    A secret that is short or an ordinary word is found where it stands as one (`password=abc`): by
    itself it stands in any record by chance. In the outputs of our own methods each value is looked
    at by itself: what stands beside a column called `password` is its type.
    """
    leaks = []
    for place in _places(notebook, secrets):
        texts = _texts(place.value, sql=place.sql)
        leaks += [
            Leak(place.where, what)
            for what in dict.fromkeys(w for text in texts for w in _found(text, secrets, place.sql))
        ]
    return leaks


def search_text(text: str, secrets: Sequence[str], where: str, *, sql: bool = False) -> list[Leak]:
    """The leaks in a text, as `search` finds them; `where` says what text it is; `sql` as for
    `redaction.shapes`.
    """
    return [Leak(where, what) for what in _found(text, secrets, sql)]


def mask(notebook: NotebookNode, secrets: Sequence[str]) -> None:
    """Take every leak out of a notebook, in place.

    `***` stands for the secret where it can be told where it ends, and a note for the whole text
    where it cannot. A number with a leak becomes a text.
    """
    for place in list(_places(notebook, secrets)):
        if any(_found(text, secrets, place.sql) for text in _texts(place.value, sql=place.sql)):
            cleaned = clean(place.value, secrets, sql=place.sql)
            place.holder[place.key] = (
                cleaned if place.key != "id" else place.where.partition(",")[0].replace(" ", "-")
            )


def _places(notebook: NotebookNode, secrets: Sequence[str]) -> Iterator[_Place]:
    """Left out is what is the format's own."""
    for key in notebook.keys() - {"cells", "nbformat", "nbformat_minor"}:
        yield _Place(key, notebook, key)
    for number, cell in enumerate(notebook.cells, 1):
        name = (
            f"cell `{cell.id}`"
            if cell.get("id") and not _found(cell.id, secrets)
            else f"cell {number}"
        )
        for key in sorted(cell.keys() - {"cell_type", "execution_count", "outputs"}):
            yield _Place(f"{name}, {key}", cell, key, sql=key == "source" and is_sql(cell.source))
        for position, output in enumerate(cell.get("outputs", ()), 1):
            ours = any_ours(output.get("data", ()))  # a name is a name there
            for key in sorted(output.keys() - {"output_type", "name", "execution_count"}):
                yield _Place(f"{name}, output {position}", output, key, ours)


def is_sql(source: str) -> bool:
    """Whether it is only in queries, for our `%sql`, that the text of a cell may seem to hold a
    secret.
    """
    if source.lstrip().startswith("%%sql"):
        return True
    rest = [line for line in source.splitlines() if not line.lstrip().startswith("%sql ")]
    return len(rest) < len(source.splitlines()) and not shapes("\n".join(rest))


def _texts(value: Any, *, sql: bool) -> Iterator[str]:
    """Every text in a value; the parts of a list also as one, for a secret may be spread over
    them.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from [_pair(key, inner)] if names_secret(key) and not sql else []
            yield from _texts(inner, sql=sql)
    elif isinstance(value, list | tuple):
        if not sql:
            yield "\n".join(str(part) for part in value if isinstance(part, _PLAIN))
        yield from (
            text
            for part in value
            if sql or not isinstance(part, _PLAIN)
            for text in _texts(part, sql=sql)
        )
    elif isinstance(value, _PLAIN):
        yield str(value)


_PLAIN = (str, int, float)


def _pair(key: str, value: Any) -> str:
    return f"{key!r}: {value!r}" if isinstance(value, _PLAIN) else ""


def _found(text: str, secrets: Sequence[str], sql: bool = False) -> tuple[str, ...]:
    """What leaks from the text."""
    return _remembered(text, tuple(secrets), sql)


# a record is searched while it comes into being, and once more before it is sealed
@lru_cache(maxsize=100_000)
def _remembered(text: str, secrets: tuple[str, ...], sql: bool) -> tuple[str, ...]:
    shown = list(values(text, sql=sql))
    known = holds(text, secrets) or any(value.strip("'\"") in secrets for _, value in shown)
    return (*([KNOWN] if known else []), *dict.fromkeys(shape for shape, _ in shown))


def clean(value: Any, secrets: Sequence[str], *, sql: bool = False) -> Any:
    """The value without its leaks; `sql` as for `redaction.shapes`."""
    if isinstance(value, Mapping):
        cleaned: dict[str, Any] = {}
        for key, inner in value.items():
            leaks = names_secret(key) and not sql and _found(_pair(key, inner), ())
            cleaned[_unused(_masked(key, secrets, sql), cleaned)] = (
                MASK if leaks else clean(inner, secrets, sql=sql)
            )
        return cleaned
    if isinstance(value, list | tuple):
        parts = [clean(part, secrets, sql=sql) for part in value]
        return (
            [_note(secrets)]
            if any(_found(text, secrets, sql) for text in _texts(parts, sql=sql))
            else parts
        )
    if isinstance(value, str):
        return _masked(value, secrets, sql)
    return MASK if isinstance(value, _PLAIN) and _found(str(value), secrets, sql) else value


def _masked(text: str, secrets: Sequence[str], sql: bool) -> str:
    if not _found(text, secrets, sql):
        return text
    cleaned = text
    for secret in searched(secrets):
        cleaned = secret.masked(cleaned)
    cleaned = mask_shapes(cleaned, sql=sql)
    return _note(secrets) if _found(cleaned, secrets, sql) else cleaned


def _note(secrets: Sequence[str]) -> str:
    return MASK if _found(WITHHELD, secrets) else WITHHELD


def _unused(key: str, used: Mapping[str, Any]) -> str:
    number = 2
    while key in used:
        key, number = f"{key.partition(' #')[0]} #{number}", number + 1
    return key


# -- what is refused because of one
# ----------------------------------------------------------------------------------


def problems(found: Sequence[Leak]) -> list[Problem]:
    """Each leak as a problem."""
    remedy = "keep it out of the notebook; and change it, as it may have been read meanwhile"
    return [Problem(leak.what, where=leak.where, remedy=remedy) for leak in found]
