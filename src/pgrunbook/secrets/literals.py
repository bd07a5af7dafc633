"""Secrets in SQL: in its string constants, its comments, or anywhere else. Looked for before
anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pglast
import psycopg
from pglast.parser import ParseError, Token, scan
from psycopg.conninfo import conninfo_to_dict

from pgrunbook.errors import Problem
from pgrunbook.secrets import assignments
from pgrunbook.secrets.encodings import holds
from pgrunbook.secrets.patterns import IF_A_NAME, KEYWORDS, KNOWN, MASK, is_stand_in, shapes

_CONSTANTS, _COMMENTS = ("SCONST", "USCONST"), ("SQL_COMMENT", "C_COMMENT")
_BEFORE = 13  # tokens that tell what a constant is for
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
    """Yield a problem for each line of a file that holds a secret: one in the usual `forms`, or one
    of those known.

    The line is shown without its constants.
    """
    lines: dict[int, str] = {}
    if not forms and not known:
        return
    for found in search(sql, known):
        if forms or found.what == KNOWN:
            lines.setdefault(sql.count("\n", 0, found.at) + 1, found.what)
    if not lines:
        return
    remedy = _OTHERWISE
    if forms and file.startswith("deploy/"):
        remedy += _IN_THE_LEDGER
    shown = _without_constants(sql).splitlines()
    for line, what in lines.items():
        text = "".join(shown[line - 1 : line])  # nothing, where the SQL cannot be scanned
        if holds(text, known) or shapes(text):  # the secret is not a constant
            text = ""
        advice = remedy
        if what == KNOWN:
            advice += IF_A_NAME
        yield Problem(f"holds {what}", f"{file}:{line}", found=text.strip(), remedy=advice)


def search(sql: str, known: Sequence[str] = (), depth: int = _DEPTH) -> Iterator[Found]:
    """Yield the secrets in SQL, whatever it is for."""
    try:
        tokens = scan(sql)
    except ParseError:  # not terminated: parsing says so, with its place
        for what in shapes(sql):
            yield Found(what, 0)
        yield from _find_known(sql, known)
        return
    # To look into each constant takes long. One without escapes holds no password that is not in
    # the text as a whole.
    in_text = known
    if not holds(sql, known):
        in_text = ()
    code: list[Token] = []
    nothing = True
    for number, token in enumerate(tokens):
        secrets: Iterable[Found] = ()
        text = sql[token.start : token.end + 1]
        if token.name in _CONSTANTS:
            value = _decode(sql, tokens, number)
            before = [sql[each.start : each.end + 1] for each in code[-_BEFORE:]]
            sought = known
            if text == f"'{value}'":
                sought = in_text
            secrets = _in_constant(text, value, before, sought, depth)
        elif token.name in _COMMENTS:
            secrets = _in_comment(text, in_text)
        elif in_text:
            secrets = _find_known(text, in_text)
        for what, at in secrets:
            nothing = False
            yield Found(what, token.start + at)
        if token.name not in _COMMENTS:
            code.append(token)
    if nothing and in_text:  # over several tokens
        yield Found(KNOWN, 0)


def _in_constant(
    text: str, value: str, before: Sequence[str], known: Sequence[str], depth: int
) -> Iterator[Found]:
    """Yield the secrets in a constant: `text` as it is written, `value` as it is meant; `before`
    are the tokens in front of it.
    """
    if what := assignments.kind_of_secret(before, value):
        yield Found(what, 0)
        return
    kinds = _in_connection_string(value) + shapes(value, sql=True)
    if kinds:
        yield Found(kinds[0], _line_of(text))
    elif holds(value, known):
        yield Found(KNOWN, _line_of(text))
    elif depth and ("'" in value or "$" in value):
        # SQL in SQL. Where it stands there tells where it is here, if the quotes are dollars.
        for found in search(value, known, depth - 1):
            at = 0
            if text.startswith("$"):
                tag = (len(text) - len(value)) // 2
                at = tag + found.at
            yield Found(found.what, at)


def _line_of(text: str) -> int:
    """Return where in a dollar-quoted body the form begins that was found; 0 for any other
    constant.
    """
    if not text.startswith("$"):
        return 0
    at = 0
    for line in text.splitlines(keepends=True):
        if shapes(line, sql=True):
            return at
        at += len(line)
    return 0


def _in_connection_string(value: str) -> list[str]:
    """Return what the constant is if libpq reads it as a connection string with a password."""
    if "=" not in value and "://" not in value:
        return []
    try:
        given = conninfo_to_dict(value)
    except psycopg.ProgrammingError:
        return []
    for keyword in KEYWORDS:
        if given.get(keyword) and not is_stand_in(str(given[keyword])):
            return ["a password in a connection string"]
    return []


def _in_comment(text: str, known: Sequence[str]) -> Iterator[Found]:
    for what in shapes(_ABOUT_COLUMN.sub("", text))[:1]:
        yield Found(what, 0)
    yield from _find_known(text, known)


def _find_known(text: str, known: Sequence[str]) -> Iterator[Found]:
    if holds(text, known):
        yield Found(KNOWN, 0)


def _decode(sql: str, tokens: Sequence[Token], number: int) -> str:
    """Return what a constant means to PostgreSQL."""
    end = number
    # U&'…' UESCAPE '!': two tokens more say how it is to be read
    if [token.name for token in tokens[number + 1 : number + 3]] == ["UESCAPE", "SCONST"]:
        end = number + 2
    text = sql[tokens[number].start : tokens[end].end + 1]
    # most are plain: a file may hold a million. One that goes on in another line has a quote left.
    if text.startswith("'") and "'" not in text[1:-1].replace("''", ""):
        return text[1:-1].replace("''", "'")
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
