"""What a backfill gives way to, as the header `-- give way:` of a block says it, and the setting
`give_way` of a target: `replication lag 5 s, WAL archive 32, share 50%`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem, Refused, did_you_mean


@dataclass(frozen=True, slots=True)
class PressureLimits:
    """PressureLimits above which a backfill pauses.

    - `lag_ms`: how far a replica may be behind.
    - `slot_bytes`: the same for a logical replication slot.
    - `archive_files`: how many files of WAL may wait for the archiver.
    - `dead_percent`: dead rows, of all rows of the table.
    - `share_percent`: the part of the time in which batches may be at work.
    - `vacuum`: whether the backfill may vacuum the table by itself.
    """

    lag_ms: int = 5_000
    slot_bytes: int = 2**30
    archive_files: int = 32
    dead_percent: int = 20
    share_percent: int = 100
    vacuum: bool = True

    @classmethod
    def parse(cls, *texts: str) -> PressureLimits:
        """Return the limits that texts state, of a block and of its target: of two that state the
        same one the stricter holds, and of one that none states the default.

        Raises Refused with everything that is wrong with them.
        """
        problems: list[Problem] = []
        for text in texts:
            problems += check(text)
        if problems:
            raise Refused(problems=problems)
        stated: dict[str, Any] = {}
        for text in texts:
            for name, value in _read_limits(text):
                stated[name] = min(stated.get(name, value), value)  # `no` is less than `yes`
        return cls(**stated)


def check(text: str, where: str = "give way") -> Iterator[Problem]:
    """Yield a problem for each part of the text that is not a limit, or is stated twice."""
    seen = set()
    for part in _parts(text):
        words, value = part, ""
        if match := _PART.fullmatch(part):
            words, value = match["words"], match["value"]
        if words not in _KINDS:
            remedy = f"{did_you_mean(words, _KINDS)}separate them by commas"
            yield Problem("is no limit", where, _all_limits(), part, remedy)
            continue
        field, example, read = _KINDS[words]
        try:
            read(value)
        except ValueError:
            yield Problem(f"takes another value for {words!r}", where, f"{words} {example}", part)
        if field in seen:
            yield Problem(f"states {words!r} twice", where, found=text, remedy="leave one of them")
        seen.add(field)


def states_lag(*texts: str) -> bool:
    """Return whether one of these texts limits how far a replica may be behind."""
    stated: set[str] = set()
    for text in texts:
        stated.update(field for field, _ in _read_limits(text))
    return "lag_ms" in stated


def _read_limits(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the fields that a text states, with their values."""
    for part in _parts(text):
        match = _PART.fullmatch(part)
        assert match  # it was checked
        field, _, read = _KINDS[match["words"]]
        yield field, read(match["value"])


def _parts(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split(",") if part.strip()]


# The last word that holds no digit ends the name: `replication lag` of `replication lag 5 s`.
_PART = re.compile(r"(?P<words>[A-Za-z ]*[A-Za-z]) (?P<value>\d.*|yes|no)")


def _size(text: str) -> int:
    """Return a size as PostgreSQL writes it, in bytes."""
    match = re.fullmatch(r"(\d+) ?(kB|MB|GB|TB)", text)
    if not match:
        raise ValueError("takes a size as PostgreSQL writes it, such as '512 MB'")
    return int(match[1]) * _UNITS[match[2]]


_UNITS = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def _percent(text: str) -> int:
    match = re.fullmatch(r"(\d{1,3}) ?%", text)
    if not match or not 1 <= int(match[1]) <= 100:
        raise ValueError("takes a share from 1% to 100%")
    return int(match[1])


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("takes yes or no")
    return text == "yes"


# The words of each limit, with the field of `PressureLimits`, an example, and what reads its value.
_KINDS: Mapping[str, tuple[str, str, Callable[[str], Any]]] = {
    "replication lag": ("lag_ms", "5 s", milliseconds),
    "logical slots": ("slot_bytes", "1 GB", _size),
    "WAL archive": ("archive_files", "32", int),
    "dead rows": ("dead_percent", "20%", _percent),
    "share": ("share_percent", "50%", _percent),
    "vacuum": ("vacuum", "no", _yes_or_no),
}


def _all_limits() -> str:
    return "of " + ", ".join(f"{words} {example}" for words, (_, example, _) in _KINDS.items())
