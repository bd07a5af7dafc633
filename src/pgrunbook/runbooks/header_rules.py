"""The header of a block's file: whether its values can be what they say, and the needs it lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import pglast
from pglast import ast
from pglast.parser import ParseError
from pglast.stream import RawStream

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.runbooks import batches, transaction_rules
from pgrunbook.runbooks.scripts import Script
from pgrunbook.sqltext import search_paths
from pgrunbook.sqltext.hazards import Hazard
from pgrunbook.sqltext.needs import Need
from pgrunbook.sqltext.placeholders import substitute


def problems(script: Script) -> Iterator[Problem]:
    """Yield what is wrong with the values in the header of a file; which keys it may have is in
    `header`.
    """
    for key in ("lock_timeout", "statement_timeout"):
        try:
            # PostgreSQL would take 0, which is none: nobody may wait for ever
            milliseconds(script.header.get(key, "1s"))
        except ValueError as exc:
            yield Problem(str(exc), where=f"{script.name}, header {key}", found=script.header[key])
    for name in script.accepts:
        if name not in [*Hazard]:
            yield Problem(
                f"no hazard is called {name!r}",
                where=f"{script.name}, header accepts",
                expected=", ".join(Hazard),
                remedy=f"{did_you_mean(name, Hazard)}correct it, or leave it out",
            )
    yield from _path_problems(script)
    if script.header.get("repeatable", "yes") not in ("yes", "no"):
        found = script.header["repeatable"]
        yield Problem("is neither yes nor no", f"{script.name}, header repeatable", found=found)
    yield from transaction_rules.problems(script)
    yield from batches.problems(script)


def _path_problems(script: Script) -> Iterator[Problem]:
    path = script.header.get("search_path", "public")
    where = f"{script.name}, header search_path"
    schemas = search_paths.schemas(path)
    if schemas is None:
        expected = "names of schemas, with commas between them, as SET takes them"
        yield Problem("is no search path", where, expected, path)
    elif search_paths.hides_pg_catalog(schemas):
        yield Problem(search_paths.LATE, where, found=path, remedy=search_paths.LEAVE_OUT)


def listed_needs(script: Script, key: str, variables: Mapping[str, str]) -> list[Need]:
    """Return what a header lists, `users (name, email); teams (id uuid)`, as needs: columns of any
    type, or of one type.
    """
    where = f"{script.name}, header {key}"
    needed: list[Need] = []
    for part in substitute(script.header.get(key, ""), variables).split(";"):
        if part.strip():
            needed += _columns(part.strip(), where)
    return needed


def _columns(part: str, where: str) -> list[Need]:
    """Read a table and its columns with PostgreSQL's parser, as the part of a statement: INSERT has
    columns without types, CREATE TABLE has them with types.
    """
    with suppress(ParseError):
        (raw,) = pglast.parse_sql(f"INSERT INTO {part} SELECT")
        table = raw.stmt.relation.relname
        return [Need(table, "alter", column.name) for column in raw.stmt.cols or ()]
    try:
        (raw,) = pglast.parse_sql(f"CREATE TABLE {part}")
    except ParseError as exc:
        raise Refused.of(str(exc.args[0]), where=where, found=part) from exc
    table = raw.stmt.relation.relname
    needed = []
    for column in raw.stmt.tableElts or ():
        if isinstance(column, ast.ColumnDef):
            type_ = RawStream()(column.typeName)
            needed.append(Need(table, "alter", column.colname, type_))
    return needed
