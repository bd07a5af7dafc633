"""psql's placeholders: `:name`, `:'name'`, `:"name"`.

https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-INTERPOLATION
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import pglast
from pglast.parser import ParseError, scan

# Behind a colon. psql's :{?name} is not among them.
_NAME = re.compile(r"""(?P<quote>["']?)(?P<name>[A-Za-z0-9_]+)(?P=quote)""")


def names(sql: str) -> frozenset[str]:
    """Return the names of the placeholders. psql leaves alone what no variable has the name of: in
    `tags[1:n]` that is SQL.
    """
    found = {start: match["name"] for start, _, match in find(sql)}
    if not found or _is_sql(sql):
        return frozenset()
    slices = _slices(sql)
    return frozenset(name for start, name in found.items() if start not in slices)


def substitute(sql: str, variables: Mapping[str, str], bare: str = "") -> str:
    """Fill in the placeholders whose names are among the variables; `bare` quotes those that have
    no quotes.
    """
    parts = []
    end = 0
    for start, stop, match in find(sql):
        if match["name"] in variables:
            parts += [sql[end:start], _quote(variables[match["name"]], match["quote"] or bare)]
            end = stop
    return "".join([*parts, sql[end:]])


def find(sql: str) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Yield where each placeholder begins and ends, and what stands behind its colon.

    The scanner tells where it may stand: not in strings, comments and dollar-quoted bodies.
    """
    if not re.search(rf":{_NAME.pattern}", sql):
        return  # most files have none, and are not worth scanning
    try:
        tokens = scan(sql)
    except ParseError:  # an unterminated string: parsing it says so, with its place
        return
    for colon, token in itertools.pairwise(tokens):
        if colon.name != "ASCII_58" or token.start != colon.end + 1:
            continue
        if match := _NAME.match(sql, token.start):
            yield colon.start, match.end(), match


def _is_sql(text: str) -> bool:
    """Return whether the text can be parsed as it stands."""
    try:
        pglast.parse_sql(text)
    except ParseError:
        return False
    return True


def _slices(sql: str) -> set[int]:
    """Return where a colon stands between square brackets."""
    depth, found = 0, set()
    for token in scan(sql):
        match token.name:
            case "ASCII_91":  # [
                depth += 1
            case "ASCII_93":  # ]
                depth -= 1
            case "ASCII_58" if depth:  # :
                found.add(token.start)
    return found


def _quote(value: str, quote: str) -> str:
    if not quote:
        return value
    return quote + value.replace(quote, quote * 2) + quote
