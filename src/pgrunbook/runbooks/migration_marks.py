"""The lines by which other migration tools mark, in one file, what applies a change and what undoes
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgrunbook.errors import Problem

# goose and sql-migrate, dbmate, node-pg-migrate. What they say about the ends of statements and
# about transactions is told by PostgreSQL's parser.
_MARK = re.compile(
    r"""^[ \t]*--[ \t]*(?:
        \+(?:goose|migrate)[ \t]+(?P<goose>Up|Down|StatementBegin|StatementEnd|NO[ \t]+TRANSACTION)
      | migrate:(?P<dbmate>up|down)
      | (?P<node>Up|Down)[ \t]+Migration
    )\b[^\n]*""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)

# What cannot be taken over, and the way out.
_UNSUPPORTED = (
    (
        re.compile(r"^[ \t]*--[ \t]*liquibase[ \t]+formatted[ \t]+sql", re.I | re.M),
        "is Liquibase's: its changesets have attributes and conditions that SQL has not",
        "liquibase update-sql --url=offline:postgresql prints them as plain SQL: keep that in a "
        "file, without Liquibase's own tables",
    ),
    (
        re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+ENVSUB[ \t]+ON", re.I | re.M),
        "takes values from the environment",
        "write them into the SQL, and delete the line",
    ),
    (
        re.compile(r"\$\{flyway:[^}\n]*\}"),
        "has a placeholder of Flyway's",
        "write its value in its place",
    ),
)


def split_up_down(text: str) -> tuple[str, str | None]:
    """Return what applies the change, and what undoes it; None if the file has no marks for that.
    In both, the other's lines are blank: each line keeps its number.
    """
    marks = [*_MARK.finditer(text)]
    if not any(map(_direction, marks)):
        return text, None
    halves = {"up": "", "down": ""}
    direction, start = "up", 0
    for mark in marks:
        _add(halves, direction, text[start : mark.start()])
        direction, start = _direction(mark) or direction, mark.end()
    _add(halves, direction, text[start:])
    if not halves["down"].strip():
        return halves["up"], None
    return halves["up"], halves["down"]


def _add(halves: dict[str, str], direction: str, text: str) -> None:
    """Add a text to one of the halves, and to the other its ends of lines."""
    for name in halves:
        if name == direction:
            halves[name] += text
        else:
            halves[name] += blank(text)


def _direction(mark: re.Match[str]) -> str:
    """Return `up` or `down`; empty for a mark that says neither."""
    word = (mark["goose"] or mark["dbmate"] or mark["node"]).lower()
    if word in ("up", "down"):
        return word
    return ""


def problems(text: str, file: str) -> Iterator[Problem]:
    """Yield the marks of other tools that cannot be taken over."""
    for pattern, what, remedy in _UNSUPPORTED:
        if match := pattern.search(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Problem(what, f"{file}:{line}", found=match[0].strip(), remedy=remedy)


def blank(text: str) -> str:
    """Return the text without all but its ends of lines, so that what follows keeps its line."""
    return re.sub(r"[^\r\n]+", "", text)
