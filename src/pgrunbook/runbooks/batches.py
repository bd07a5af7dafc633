"""Blocks that run in batches: what their headers say, and what their files may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pglast
from pglast import ast
from pglast.parser import ParseError

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import give_way
from pgrunbook.runbooks.scripts import Script, Statement, statements
from pgrunbook.sqltext import bounds
from pgrunbook.sqltext.bounds import MARKS, Use
from pgrunbook.sqltext.placeholders import substitute

SKIP = "rows that break a constraint"

_SIZE = re.compile(r"(\d+) *rows?")
_EXPECTED = "TABLE by COLUMN[, COLUMN…][; N rows][; a duration], such as items by id; 5000 rows"


@dataclass(frozen=True, slots=True)
class Batching:
    """How a block is cut into batches.

    - `schema`, `table`, `key`: the table and its unique key by which it is cut; `schema` is empty
      for the first of the block's search path.
    - `rows`, `target_ms`: how many rows a batch has, or about how many milliseconds it takes; None
      if the header does not say.
    - `until_ms`: a run stops so many milliseconds after it has begun the block.
    - `give_way`: to what it gives way, as the header has it.
    - `skips`: rows that break a constraint are put aside.
    - `template`: the statement, with its bounds marked.
    """

    schema: str
    table: str
    key: tuple[str, ...]
    rows: int | None = None
    target_ms: int | None = None
    until_ms: int | None = None
    give_way: str = ""
    skips: bool = False
    template: Statement = field(default=Statement("", 0, None), compare=False)

    @classmethod
    def of(cls, script: Script, variables: Mapping[str, str]) -> Batching:
        """Read what the file says, its placeholders filled in. Raises Refused, naming all that is
        wrong with it.
        """
        header = {key: substitute(text, variables) for key, text in script.header.items()}
        reader = _Header(header, script.name)
        schema, table, key = reader.cut()
        given = reader.sizes()
        until_ms = None
        if "until" in header:
            until_ms = reader.duration("until", header["until"])
        skips = reader.skips()
        template = _template(script, variables)
        found = cls(
            schema,
            table,
            key,
            given.get("rows"),
            given.get("target_ms"),
            until_ms,
            header.get("give way", ""),
            skips,
            template or Statement("", 0, None),
        )
        problems = [*reader.problems]
        if template and key:
            problems += _statement_problems(found)
        if problems:
            raise Refused("A SQL file cannot be used: nothing was started.", problems=problems)
        return found

    @property
    def calls(self) -> bool:
        """Whether the statement calls a function, which alone knows which rows it writes."""
        return isinstance(self.template.node, ast.SelectStmt | ast.CallStmt)

    @property
    def limit(self) -> str:
        """What limits the statement to the rows of a batch, as the file is to say it."""
        key = ", ".join(f"{self.table}.{column}" for column in self.key)
        if len(self.key) > 1:
            key = f"({key})"
        return f"{key} > :from AND {key} <= :to"

    def statement(self, given: Mapping[Use, Mapping[str, str]]) -> Statement:
        """Return the statement with its bounds filled in: `given` by what each is there for."""
        template = self.template
        uses = [place.use for place in bounds.find_bounds(template.node, self.table, self.key)]
        sql = bounds.fill(template.sql, uses, given)
        return Statement(sql, template.line, template.node, "", template.file)


def problems(script: Script) -> Iterator[Problem]:
    """Yield what is wrong with a file's headers about batches, and with its statement."""
    if "batch" not in script.header:
        for key in ("until", "give way", "skip"):
            if key in script.header:
                remedy = f"add -- batch: {_EXPECTED}; or leave it out"
                yield Problem(
                    "is for a block in batches", f"{script.name}, header {key}", remedy=remedy
                )
        return
    where = f"{script.name}, header batch"
    if script.name.count("/") > 1:  # it lies in a folder, with others of the same block
        yield Problem("a variant cannot run in batches", where, remedy="make it a block")
    if "transaction" in script.header:
        yield Problem(
            "each batch is a transaction of its own",
            f"{script.name}, header transaction",
            remedy="leave it out",
        )
    if "keeps" in script.header:
        remedy = "give what is to stay to a block of its own"
        yield Problem("no batch can take it over", f"{script.name}, header keeps", remedy=remedy)
    if len(script.parsed) > 1:
        yield Problem(
            "holds more than one statement",
            f"{script.name}:{script.parsed[1].line}",
            "the one statement that runs in batches",
            remedy="give the others a block of their own",
        )
    yield from give_way.check(script.header.get("give way", ""), f"{script.name}, header give way")
    try:
        # each placeholder stands for itself: what is checked is the form of the statement
        Batching.of(script, {name: name for name in script.variables - script.bounds})
    except Refused as exc:
        yield from exc.problems


class _Header:
    """Reads the header's lines; what cannot be read becomes a problem."""

    def __init__(self, header: Mapping[str, str], file: str) -> None:
        self.problems: list[Problem] = []
        self._header = header
        self._file = file
        self._cut, *self._sizes = (part.strip() for part in header["batch"].split(";"))

    def cut(self) -> tuple[str, str, tuple[str, ...]]:
        """Schema, table and columns."""
        table, _, key = self._cut.partition(" by ")
        try:
            # PostgreSQL's parser reads the names: either may be quoted
            (raw,) = pglast.parse_sql(f"SELECT FROM {table}")
            (relation,) = raw.stmt.fromClause
            (raw,) = pglast.parse_sql(f"SELECT {key}")
            columns = tuple(column.val.fields[0].sval for column in raw.stmt.targetList)
            return relation.schemaname or "", relation.relname, columns
        except (ParseError, AttributeError, TypeError, ValueError):
            self._complain("batch", "cannot be read", _EXPECTED, self._header["batch"])
            return "", "", ()

    def sizes(self) -> dict[str, int]:
        """Return how large a batch is to be: `rows`, `target_ms`."""
        found: dict[str, int] = {}
        for text in self._sizes:
            if match := _SIZE.fullmatch(text):
                found["rows"] = int(match[1])
                if not found["rows"]:
                    self._complain("batch", "a batch of no rows", "1 row or more", text)
            elif (given := self.duration("batch", text)) is not None:
                found["target_ms"] = given
        return found

    def duration(self, key: str, text: str) -> int | None:
        """Return a duration in milliseconds."""
        try:
            return milliseconds(text)
        except ValueError as exc:
            self._complain(key, str(exc), "", text)
            return None

    def skips(self) -> bool:
        """Return whether rows that break a constraint are put aside."""
        given = self._header.get("skip", SKIP)
        if given != SKIP:
            self._complain("skip", "nothing else can be skipped", SKIP, given)
        return "skip" in self._header

    def _complain(self, key: str, what: str, expected: str, found: str) -> None:
        self.problems.append(Problem(what, f"{self._file}, header {key}", expected, found))


def _template(script: Script, variables: Mapping[str, str]) -> Statement | None:
    """Return the file's statement with its bounds marked; None if it holds more than one."""
    # the bounds become names that nothing else has, so that the parser knows where they stand
    marked = substitute(script.text, MARKS, bare='"')
    found = statements(substitute(marked, variables), script.name)
    if len(found) != 1:
        return None
    return found[0]


def _statement_problems(batching: Batching) -> Iterator[Problem]:
    statement = batching.template
    where = statement.place()
    write = f"write WHERE {batching.limit}"
    if not bounds.changes_rows(statement.node):
        expected = "UPDATE, INSERT … SELECT, DELETE, MERGE, or a call of a function"
        yield Problem("cannot run in batches", where, expected, statement.sql.splitlines()[0])
        return
    found = bounds.find_bounds(statement.node, batching.table, batching.key)
    # a function that is called is given its bounds; to compare them is up to it
    enough = {Use.COMPARED, Use.OTHER}
    if batching.calls:
        enough.add(Use.ARGUMENT)
    there = {place.name for place in found if place.use in enough}
    for name in MARKS:
        if name not in there:
            yield Problem(f"lacks :{name}", where, batching.limit, remedy=write)
    for place in found:
        if place.use is Use.OTHER:
            yield Problem(
                f":{place.name} does not limit the statement to the rows of a batch",
                where,
                f"{batching.limit}, where nothing but AND is beside it; in a MERGE in the query "
                "behind USING",
                statement.sql,
                write,
            )
    for column in bounds.moved_columns(statement.node, batching.table, batching.key):
        yield Problem(
            f"sets {column}, which the batches are cut by: a row would move to another batch",
            where,
            remedy=f"cut it by another unique key: -- batch: {batching.table} by …",
        )
