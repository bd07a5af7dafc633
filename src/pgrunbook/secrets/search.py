"""The search of texts and values for secrets: those that the run could use, in whatever form, and
shapes of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pgrunbook.errors import Problem
from pgrunbook.secrets.encodings import encoded_secrets, holds
from pgrunbook.secrets.patterns import (
    IF_A_NAME,
    KNOWN,
    MASK,
    mask_shapes,
    names_secret,
    shapes,
    values,
)

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


def search_text(text: str, secrets: Sequence[str], where: str, *, sql: bool = False) -> list[Leak]:
    """Return the leaks in a text; `where` says what text it is; `sql` as for `patterns.shapes`.

    A secret that is short or an ordinary word is found where it stands as one (`password=abc`): by
    itself it stands in any text by chance.
    """
    return [Leak(where, what) for what in _leaks(text, secrets, sql)]


def leaks_in_value(value: Any, secrets: Sequence[str], *, sql: bool = False) -> tuple[str, ...]:
    """Return what leaks from a value, wherever in it, each kind once; `sql` as for
    `patterns.shapes`.
    """
    leaks: dict[str, None] = {}
    for text in _texts(value, sql=sql):
        leaks |= dict.fromkeys(_leaks(text, secrets, sql))
    return tuple(leaks)


def is_sql(source: str) -> bool:
    """Return whether it is only in queries, for our `%sql`, that the text of a cell may seem to
    hold a secret.
    """
    if source.lstrip().startswith("%%sql"):
        return True
    rest = [line for line in source.splitlines() if not line.lstrip().startswith("%sql ")]
    return len(rest) < len(source.splitlines()) and not shapes("\n".join(rest))


def _texts(value: Any, *, sql: bool) -> Iterator[str]:
    """Yield every text in a value; the parts of a list also as one, for a secret may be spread over
    them.
    """
    if isinstance(value, _PLAIN):  # first: most are, and it is asked quickest
        yield str(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            if names_secret(key) and not sql:
                yield _pair(key, inner)
            yield from _texts(inner, sql=sql)
    elif isinstance(value, list | tuple):
        if not sql:
            yield _joined(value)
        for part in value:
            if sql or not isinstance(part, _PLAIN):
                yield from _texts(part, sql=sql)


_PLAIN = (str, int, float)


def _joined(parts: Iterable[Any]) -> str:
    return "\n".join(str(part) for part in parts if isinstance(part, _PLAIN))


def _pair(key: str, value: Any) -> str:
    """Return the two as Python writes them in a mapping: the forms tell a password by its name."""
    if isinstance(value, _PLAIN):
        return f"{key!r}: {value!r}"
    return ""


def _leaks(text: str, secrets: Sequence[str], sql: bool = False) -> tuple[str, ...]:
    """Return what leaks from the text."""
    return _search(text, tuple(secrets), sql)


# Kept, as a record is searched after each cell, and once more before it is sealed.
@lru_cache(maxsize=100_000)
def _search(text: str, secrets: tuple[str, ...], sql: bool) -> tuple[str, ...]:
    leaks: dict[str, None] = {}
    if holds(text, secrets):
        leaks[KNOWN] = None
    shown = list(values(text, sql=sql))
    # one that is too short to be looked for anywhere is known where it stands as a password
    if any(value.strip("'\"") in secrets for _, value in shown):
        leaks[KNOWN] = None
    for shape, _ in shown:
        leaks[shape] = None
    return tuple(leaks)


def forget() -> None:
    """Forget what earlier texts held, if these are many: for a process that makes many records."""
    if _search.cache_info().currsize > _KEPT:
        _search.cache_clear()


_KEPT = 20_000


def clean(value: Any, secrets: Sequence[str], *, sql: bool = False) -> Any:
    """Return the value without its leaks; `sql` as for `patterns.shapes`."""
    if isinstance(value, str):
        return _mask(value, secrets, sql)
    if isinstance(value, _PLAIN) and _leaks(str(value), secrets, sql):
        return MASK
    if isinstance(value, Mapping):
        cleaned: dict[str, Any] = {}
        for key, inner in value.items():
            shown = MASK
            if sql or not names_secret(key) or not _leaks(_pair(key, inner), ()):
                shown = clean(inner, secrets, sql=sql)
            cleaned[_unused_key(_mask(key, secrets, sql), cleaned)] = shown
        return cleaned
    if isinstance(value, list | tuple):
        parts = [clean(part, secrets, sql=sql) for part in value]
        # a secret that is spread over them is in none of them
        if not sql and _leaks(_joined(parts), secrets):
            return [_note(secrets)]
        return parts
    return value


def _mask(text: str, secrets: Sequence[str], sql: bool) -> str:
    """Return the text without its leaks; nothing of it, if what is left still holds one."""
    if not _leaks(text, secrets, sql):
        return text
    cleaned = text
    for secret in encoded_secrets(secrets):
        cleaned = secret.mask(cleaned)
    cleaned = mask_shapes(cleaned, sql=sql)
    if _leaks(cleaned, secrets, sql):
        return _note(secrets)
    return cleaned


def _note(secrets: Sequence[str]) -> str:
    """Return what to write in place of a text. A password may be a part of our own note."""
    if _leaks(WITHHELD, secrets):
        return MASK
    return WITHHELD


def _unused_key(key: str, used: Mapping[str, Any]) -> str:
    """Return the key, with a number if another one looks like it now that both are masked."""
    name, number = key, 2
    while key in used:
        key = f"{name.partition(' #')[0]} #{number}"
        number += 1
    return key


# -- what is refused because of one


def problems(found: Sequence[Leak]) -> list[Problem]:
    """Return each leak as a problem."""
    remedy = "keep it out of the notebook; and change it, as it may have been read meanwhile"
    told = []
    for leak in found:
        advice = remedy
        if leak.known:
            advice += IF_A_NAME
        told.append(Problem(leak.what, where=leak.where, remedy=advice))
    return told
