"""Compares two records: whether both ran the same SQL, took the same locks, and came to the same
result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import unified_diff
from textwrap import fill
from typing import Any

from pgrunbook.postgres import copy_place
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record
from pgrunbook.records.shown import ShownBlock
from pgrunbook.records.words import counted

# The owner of what a rehearsal makes on its copy. On the target that is the role of the run.
_COPY_OWNER = re.compile(rf"\b{copy_place.PREFIX}\w+")


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """One thing that was compared: how it is in each record, and in `detail` what differs.

    Times and numbers of rows never count as different; which tables were written to does.
    """

    what: str
    one: str
    other: str
    same: bool
    detail: str = ""


def compare(one: Record, other: Record) -> list[ComparedPart]:
    """Compare verdict, database and files; of each block what was done, its SQL, locks, time and
    effect; and the difference of the tables. Returns all parts, equal ones too.
    """
    parts = [
        _part("verdict", one.noted.get("verdict", ""), other.noted.get("verdict", "")),
        ComparedPart("database", _database(one), _database(other), same=True),
        _compare_lists("files run", _files(one), _files(other)),
    ]
    theirs = {block.name: block for block in other.blocks}
    ours = {block.name: block for block in one.blocks}
    for name in dict.fromkeys([*ours, *theirs]):
        parts += _block(name, ours.get(name), theirs.get(name))
        if name in ours and name in theirs:
            parts += _changes(name, one, other)
    return [*parts, _compare_lists("objects changed", _difference(one), _difference(other))]


def _part(what: str, one: str, other: str) -> ComparedPart:
    return ComparedPart(what, one, other, same=one == other)


def _part_of_lengths(what: str, one: str, other: str, diff: str) -> ComparedPart:
    """Return the part of two texts or lists. Only their lengths are told, and what differs."""
    if diff and one == other:  # it would look as if nothing differed
        other = f"{other}, different"
    return ComparedPart(what, one, other, not diff, diff)


def _block(name: str, one: ShownBlock | None, other: ShownBlock | None) -> Iterator[ComparedPart]:
    if one is None or other is None:
        yield _part(name, "there" if one else "absent", "there" if other else "absent")
        return
    yield _part(f"{name}: done", one.event or one.action, other.event or other.action)
    lines = one.sql.splitlines(), other.sql.splitlines()
    diff = "\n".join(unified_diff(*lines, "one", "other", lineterm="", n=1))
    yield _part_of_lengths(f"{name}: SQL", _lines(one.sql), _lines(other.sql), diff)
    yield _part(f"{name}: locks", _locks(one), _locks(other))
    if one.event and other.event:
        took = f"{other.elapsed_ms:,.0f} ms"
        if one.elapsed_ms:
            took += f", {other.elapsed_ms / one.elapsed_ms:.1f} times"
        yield ComparedPart(f"{name}: time", f"{one.elapsed_ms:,.0f} ms", took, same=True)


def _changes(name: str, one: Record, other: Record) -> Iterator[ComparedPart]:
    """Compare what a block has changed, where it has."""
    effects = _block_lines(one, Kind.EFFECT, name), _block_lines(other, Kind.EFFECT, name)
    if any(effects):
        yield _compare_lists(f"{name}: effect", *effects)
    rows = _block_lines(one, Kind.ROWS, name), _block_lines(other, Kind.ROWS, name)
    if any(rows):
        written, elsewhere = (", ".join(lines) or "none" for lines in rows)
        same = _written_tables(one, name) == _written_tables(other, name)
        yield ComparedPart(f"{name}: rows", written, elsewhere, same)


def _written_tables(record: Record, block: str) -> set[tuple[str, str]]:
    """Return which tables a block has written to, and how: `inserted`, say; not how many rows."""
    found = set()
    for row in record.by_block(Kind.ROWS).get(block, ()):
        for how, number in row.items():
            if number and how != "table":
                found.add((str(row.get("table")), how))
    return found


def _block_lines(record: Record, kind: Kind, block: str) -> list[str]:
    """Return the rows of a block's frame as lines."""
    # A rehearsal and the run itself are to compare equal, also in who owns what was made.
    role = str(record.identity.get("role") or "")
    lines = map(_line, record.by_block(kind).get(block, ()))
    return [_COPY_OWNER.sub(lambda _: role, line) for line in lines]


def _line(row: Mapping[str, Any]) -> str:
    texts, numbers = [], []
    for name, value in row.items():
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int) and value:
            numbers.append(f"{value:,} {name}")
    return " ".join([*texts, *numbers])


def _lines(sql: str) -> str:
    if not sql:
        return "none"
    return counted(len(sql.splitlines()), "line")


def _files(record: Record) -> list[str]:
    return [f"{sha}  {name}" for name, sha in sorted(record.sources.items())]


def _locks(block: ShownBlock) -> str:
    return ", ".join(f"{row['lock']} on {row['relation']}" for row in block.locks) or "none"


def _database(record: Record) -> str:
    known = record.identity
    if not known:
        return "not reached"
    return f"{known['database']}, cluster {known['system_identifier']}"


def _difference(record: Record) -> list[str]:
    lines = []
    for row in record.rows(Kind.DIFFERENCE):
        lines.append(" ".join(str(value) for value in row.values() if value))
    return sorted(lines)


def _compare_lists(what: str, one: list[str], other: list[str]) -> ComparedPart:
    """Compare two lists, with what is only in one of them."""
    diff = "\n".join(list(unified_diff(one, other, lineterm="", n=0))[2:])
    return _part_of_lengths(what, str(len(one)), str(len(other)), diff)


def text(parts: list[ComparedPart]) -> str:
    """Return the parts as lines, what differs marked with `≠`, and a line that sums it up."""
    lines = []
    for part in parts:
        mark = " " if part.same else "≠"
        values = part.one
        if not part.same or part.one != part.other:
            values = f"{part.one}  |  {part.other}"
        lines.append(_wrap(f"{mark} {part.what:<44} {values}", indent=47))
        lines += [_wrap(f"      {line}", indent=8) for line in part.detail.splitlines()]
    differing = sum(not part.same for part in parts)
    summary = "the same SQL, locks and result"
    if differing == 1:
        summary = "1 part differs"
    elif differing:
        summary = f"{differing} parts differ"
    return "\n".join([*lines, summary])


def _wrap(line: str, *, indent: int) -> str:
    """Break the line where it is longer than 100 columns; nothing of it is left out."""
    # not at a hyphen, so that names can be copied
    return fill(
        line, 100, subsequent_indent=" " * indent, break_on_hyphens=False, expand_tabs=False
    )


def data(parts: list[ComparedPart]) -> list[Mapping[str, Any]]:
    """Return the parts as JSON values."""
    return [asdict(part) for part in parts]
