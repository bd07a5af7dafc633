"""The lines by which other tools mark, in one file, what applies a change and what undoes it."""

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
_FOREIGN = (
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


def halves(text: str) -> tuple[str, str | None]:
    """Return what applies the change, and what undoes it if the file has marks for that: in both,
    each line keeps its number. Without marks the whole file applies it.
    """
    marks = [*_MARK.finditer(text)]
    if not any(map(_way, marks)):
        return text, None
    halves = {"up": "", "down": ""}
    way, start = "up", 0
    ends = [mark.start() for mark in marks] + [len(text)]
    for number, end in enumerate(ends):
        between = text[start:end]
        for name in halves:
            halves[name] += between if name == way else blank(between)
        if number < len(marks):
            way, start = _way(marks[number]) or way, marks[number].end()
    return halves["up"], halves["down"] if halves["down"].strip() else None


def _way(mark: re.Match[str]) -> str:
    """`up` or `down`; empty for a mark that says neither."""
    word = (mark["goose"] or mark["dbmate"] or mark["node"]).lower()
    return word if word in ("up", "down") else ""


def problems(text: str, file: str) -> Iterator[Problem]:
    """Yield the marks of other tools that cannot be taken over."""
    for pattern, what, remedy in _FOREIGN:
        if match := pattern.search(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Problem(what, f"{file}:{line}", found=match[0].strip(), remedy=remedy)


def blank(text: str) -> str:
    """Return the ends of lines alone."""
    return re.sub(r"[^\r\n]+", "", text)
