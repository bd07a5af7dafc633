"""Secrets in SQL: in its string constants, its comments, or anywhere else. Looked for before
anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pglast
import psycopg
from pglast.parser import ParseError, Token, scan
from psycopg.conninfo import conninfo_to_dict

from pgrunbook.errors import Problem
from pgrunbook.secrets import assignments
from pgrunbook.secrets.encodings import holds
from pgrunbook.secrets.patterns import KEYWORDS, KNOWN, MASK, is_stand_in, shapes

_CONSTANTS, _COMMENTS = ("SCONST", "USCONST"), ("SQL_COMMENT", "C_COMMENT")
_BEFORE = 12  # tokens that tell what a constant is for
_DEPTH = 4  # of SQL in constants of SQL: what a function executes

# In a comment, SQL about a column of that name.
_ABOUT_COLUMN = re.compile(
    r"\b(?:where|and|or|set|on|when|if|not|having)\s+(?:\w+\.)?\w*password\s*=\s*'[^']*'",
    re.IGNORECASE,
)

_OTHERWISE = (
    "keep it out of the SQL, which goes into the ledger and the record; and change it, as it "
    "stands in this file.\n"
    "A role's: CREATE ROLE and \\password in psql, outside of the runbook; a block only GRANTs.\n"
    "A connection's: leave it out, and name a service or a user mapping that is made outside of "
    "the runbook"
)
_IN_THE_LEDGER = (
    ".\nIf the ledger has this very block from an earlier version: change the secret, so that "
    "what stands there is"
    " worthless, and say so in the file's header: -- exposed: changed on …"
)


class Found(NamedTuple):
    """A secret in SQL: what it is, and where it begins."""

    what: str
    at: int


def problems(
    sql: str, file: str, known: Sequence[str] = (), *, forms: bool = True
) -> Iterator[Problem]:
    """A problem for each line of a file that holds a secret: one in the usual `forms`, or one of
    those known.

    The line is shown without its constants.
    """
    lines: dict[int, str] = {}
    for found in search(sql, known):
        if not forms and found.what != KNOWN:
            continue
        lines.setdefault(sql.count("\n", 0, found.at) + 1, found.what)
    remedy = f"{_OTHERWISE}{_IN_THE_LEDGER if file.startswith('deploy/') and forms else ''}"
    shown = _without_constants(sql).splitlines() if lines else []
    for line, what in lines.items():
        text = "".join(shown[line - 1 : line])
        echo = "" if holds(text, known) or shapes(text) else text.strip()
        yield Problem(f"holds {what}", where=f"{file}:{line}", found=echo, remedy=remedy)


def search(sql: str, known: Sequence[str] = (), depth: int = _DEPTH) -> Iterator[Found]:
    """The secrets in SQL, whatever it is for."""
    try:
        tokens = scan(sql)
    except ParseError:  # not terminated: parsing says so, with its place
        yield from (
            Found(what, 0) for what in [*shapes(sql), *([KNOWN] if holds(sql, known) else [])]
        )
        return
    before: list[str] = []
    found = False
    for number, token in enumerate(tokens):
        text = sql[token.start : token.end + 1]
        if token.name in _CONSTANTS:
            whats = _of_constant(text, _decoded(sql, tokens, number), before, known, depth)
        else:
            whats = _of_text(text, known) if token.name in _COMMENTS else _known(text, known)
        for what, at in whats:
            found = True
            yield Found(what, token.start + at)
        if token.name not in _COMMENTS:
            before = [*before[-_BEFORE:], text]
    if not found:  # over several tokens
        yield from (Found(what, 0) for what, _ in _known(sql, known))


def _of_constant(
    text: str, value: str, before: Sequence[str], known: Sequence[str], depth: int
) -> Iterator[Found]:
    """What of a constant, as it is written and as it is meant, is secret; `before` are the tokens
    in front of it.
    """
    if what := assignments.kind_of_secret(before, value):
        yield Found(what, 0)
        return
    if (
        what := _of_connection(value)
        or next(iter(shapes(value, sql=True)), "")
        or (KNOWN if holds(value, known) else "")
    ):
        yield Found(what, _line_of(text))
    elif depth and ("'" in value or "$" in value):
        quoted = len(text) - len(value) if text.startswith("$") else 0
        for found in search(value, known, depth - 1):
            yield Found(found.what, quoted // 2 + found.at if quoted else 0)


def _line_of(text: str) -> int:
    """Where in a dollar-quoted body the form begins that was found; 0 for any other constant."""
    lines = text.splitlines(keepends=True) if text.startswith("$") else []
    for number, line in enumerate(lines):
        if shapes(line, sql=True):
            return sum(map(len, lines[:number]))
    return 0


def _of_connection(value: str) -> str:
    """Whether libpq reads the constant as a connection string with a password."""
    try:
        given = conninfo_to_dict(value) if "=" in value or "://" in value else {}
    except psycopg.ProgrammingError:
        return ""
    secrets = [str(given[keyword]) for keyword in KEYWORDS if given.get(keyword)]
    if all(map(is_stand_in, secrets)):
        return ""
    return "a password in a connection string"


def _of_text(text: str, known: Sequence[str]) -> Iterator[Found]:
    yield from (Found(what, 0) for what in shapes(_ABOUT_COLUMN.sub("", text))[:1])
    yield from _known(text, known)


def _known(text: str, known: Sequence[str]) -> Iterator[Found]:
    if holds(text, known):
        yield Found(KNOWN, 0)


def _decoded(sql: str, tokens: Sequence[Token], number: int) -> str:
    """What a constant means to PostgreSQL."""
    end = number
    if [token.name for token in tokens[number + 1 : number + 3]] == ["UESCAPE", "SCONST"]:
        end = number + 2
    text = sql[tokens[number].start : tokens[end].end + 1]
    try:
        (raw,) = pglast.parse_sql(f"SELECT {text}")
        return str(raw.stmt.targetList[0].val.val.sval)
    except (ParseError, AttributeError):  # a wrong escape: parsing the whole says so
        return text


def _without_constants(sql: str) -> str:
    """SQL with a mask for each constant and comment, line for line."""
    try:
        tokens = scan(sql)
    except ParseError:
        return ""
    parts, end = [], 0
    for token in tokens:
        if token.name in (*_CONSTANTS, *_COMMENTS):
            lines = sql.count("\n", token.start, token.end + 1)
            parts += [sql[end : token.start], MASK + f"\n{MASK}" * lines]
            end = token.end + 1
    return "".join([*parts, sql[end:]])
