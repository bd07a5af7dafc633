"""Finds names that become the same when PostgreSQL cuts them off; makes one that fits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from pglast import ast
from pglast.parser import scan

from pgrunbook.sqltext.things import freed_names

# NAMEDATALEN - 1: https://www.postgresql.org/docs/current/limits.html
LONGEST = 63

_LONG = re.compile(rf'[\w$]{{{LONGEST + 1},}}|"[^"]{{{LONGEST + 1},}}')

# Within which two names must differ: the relations of a schema, the columns of a table …
_Space = tuple[str, ...]


def collisions(
    statements: Sequence[tuple[ast.Node, str]],
) -> Iterator[tuple[int, str, str, str]]:
    """Yield the statements that make an object whose name, cut off, an earlier one has already.

    `statements` are given each with its text. Of each that is found: its index, the earlier name,
    its own name, and what both are cut off to.
    """
    made: dict[tuple[_Space, str], str] = {}
    for place, (node, text) in enumerate(statements):
        written = _long_names(text)
        if not written and not made:
            continue
        freed = {name for name, _ in freed_names(node)}
        for space, name in [*made]:
            if name in freed:
                del made[space, name]
        for (space, name), times in Counter(_created_names(node)).items():
            own_names = written.get(name, [])
            # the parse tree has names cut off, so it does not tell which
            if times < len(own_names):
                continue
            for own in own_names:
                before = made.setdefault((space, name), own)
                if before != own:
                    yield place, before, own, name


def _long_names(text: str) -> dict[str, list[str]]:
    """Return the names in a text that are too long, by what they are cut off to."""
    found: dict[str, list[str]] = {}
    if text.isascii() and not _LONG.search(text):  # most texts; the scanner takes much longer
        return found
    for token in scan(text):
        if token.name not in ("IDENT", "UIDENT"):
            continue
        word = text[token.start : token.end + 1]
        name = word.lower()
        if word.startswith('"'):
            name = word[1:-1].replace('""', '"')
        if len(name.encode()) > LONGEST:
            names = found.setdefault(name.encode()[:LONGEST].decode(errors="ignore"), [])
            if name not in names:
                names.append(name)
    return found


def _created_names(node: ast.Node) -> Iterator[tuple[_Space, str]]:
    """Yield the names that a statement makes, each with its space."""
    match node:
        case ast.CreateStmt(relation=table, tableElts=elements):
            yield ("relation", table.schemaname or ""), table.relname
            for element in elements or ():
                yield from _element_name(table, element)
        case ast.IndexStmt(relation=table, idxname=str() as name):
            yield ("relation", table.schemaname or ""), name
        case ast.ViewStmt(view=made) | ast.CreateSeqStmt(sequence=made):
            yield ("relation", made.schemaname or ""), made.relname
        case ast.AlterTableStmt(relation=table, cmds=commands):
            for command in commands:
                yield from _element_name(table, command.def_)


def _element_name(table: ast.RangeVar, element: ast.Node) -> Iterator[tuple[_Space, str]]:
    match element:
        case ast.ColumnDef(colname=str() as name):
            yield ("column", table.relname), name
        case ast.Constraint(conname=str() as name):
            yield ("constraint", table.relname), name


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return a name of at most 63 bytes that is none of those `taken`. It is the same each time, as
    the ledger has the digest of the SQL that contains it.
    """
    number = 0
    candidate = _with_suffix(name, "_new")
    while candidate in taken:
        number += 1
        candidate = _with_suffix(name, f"_new{number}")
    return candidate


def _with_suffix(name: str, suffix: str) -> str:
    """Cut the name as PostgreSQL would, at a character, so that the suffix fits."""
    return name.encode()[: LONGEST - len(suffix)].decode(errors="ignore") + suffix
