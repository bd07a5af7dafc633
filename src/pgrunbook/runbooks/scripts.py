"""SQL files as psql reads them: a header, placeholders, statements; parsed before a connection is
opened.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pglast
from pglast import ast
from pglast.parser import ParseError, parse_sql_json

from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.runbooks import check_lines
from pgrunbook.runbooks.encoding import decode
from pgrunbook.runbooks.header import header_end, header_problems, read_header
from pgrunbook.secrets import literals
from pgrunbook.secrets.patterns import redact
from pgrunbook.sqltext import mentions, placeholders
from pgrunbook.sqltext.created_objects import CreatedObject, created_objects
from pgrunbook.sqltext.mentions import Relation
from pgrunbook.sqltext.placeholders import substitute
from pgrunbook.sqltext.session_statements import find_misplaced

_BOUNDS = frozenset({"from", "to"})


# without slots: cached properties need a `__dict__`
@dataclass(frozen=True)
class Statement:
    """One statement as it is sent, and the line of its file that it begins in. `check` is the
    sentence of the `-- check:` line before it, if any.
    """

    sql: str
    line: int
    node: ast.Node
    check: str = ""
    file: str = ""

    @cached_property
    def relations(self) -> frozenset[Relation]:
        """The relations that it names."""
        return frozenset(mentions.relations(self.node))

    @cached_property
    def made(self) -> list[CreatedObject]:
        """The objects that it makes, by the names in its text."""
        return created_objects(self.node)

    def place(self, index: int = 0) -> str:
        """Return where the character of that index is: `file:line`."""
        line = self.line + self.sql.count("\n", 0, index)
        return f"{self.file}:{line}"


@dataclass(frozen=True)
class Script:
    """One SQL file. `name` is its path below the runbook's SQL folder, such as
    `deploy/010_x.sql`.
    """

    name: str
    header: Mapping[str, str]
    text: str
    source_sha256: str

    @classmethod
    def read(cls, path: Path, root: Path) -> Script:
        """Read and check one file. Raises Refused, naming all that is wrong with it, each with its
        line.
        """
        name = path.relative_to(root).as_posix()
        raw = path.read_bytes()
        text = decode(raw, name)
        script = cls(name, read_header(text), text, hashlib.sha256(raw).hexdigest())
        # first: the problems below show parts of the SQL
        if not script.exposed and (secrets := list(literals.problems(text, name))):
            raise Refused("A SQL file holds a secret: nothing was started.", problems=secrets)
        if problems := list(script._problems()):
            raise Refused("A SQL file cannot be used: nothing was started.", problems=problems)
        return script

    @property
    def exposed(self) -> bool:
        """Whether the ledger has a secret of it, from an earlier version, and that is known and
        worthless now.
        """
        return bool(self.header.get("exposed")) and self.name.startswith("deploy/")

    @property
    def imported(self) -> str:
        """The file that it was imported from, if any."""
        return self.header.get("imported", "")

    @property
    def accepts(self) -> tuple[str, ...]:
        """The hazards that its header accepts, as they are written there."""
        return tuple(re.findall(r"[^,\s]+", self.header.get("accepts", "")))

    @property
    def keeps(self) -> frozenset[str]:
        """The objects that are to stay as somebody has altered them, by type and identity."""
        # a comma in parentheses is between a function's arguments
        names = re.split(r",(?![^()]*\))", self.header.get("keeps", ""))
        return frozenset(name.strip() for name in names if name.strip())

    @property
    def proves(self) -> frozenset[str]:
        """The blocks that a verify script is about, besides the one that is called as it is."""
        names = [name.strip() for name in self.header.get("proves", "").split(",")]
        return frozenset(name for name in names if name)

    @property
    def bounds(self) -> frozenset[str]:
        """The placeholders that get a value for each batch, if it runs in batches."""
        if "batch" in self.header:
            return _BOUNDS
        return frozenset()

    @property
    def body(self) -> str:
        """The text below the header."""
        return self.text[header_end(self.text) :].strip("\n") + "\n"

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names of the placeholders in its SQL."""
        return placeholders.names(self.text)

    @cached_property
    def tree_sha256(self) -> str:
        """A checksum of the parse tree: comments, white space and the case of keywords do not
        count.
        """
        tree = json.loads(_PLACES.sub("", parse_sql_json(self.parsable)))
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

    def render(self, variables: Mapping[str, str]) -> str:
        """Return the text below the header with its placeholders filled in as psql does it.

        `:"name"` becomes a quoted identifier, `:'name'` a quoted literal, `:name` the bare text. As
        in psql, strings, dollar-quoted bodies and comments stay as they are. Raises Refused for
        each of the `missing_values`.
        """
        if lacking := list(self.missing_values(variables)):
            raise Refused(problems=lacking)
        if not self.variables:
            return self.body
        return substitute(self.body, variables)

    def missing_values(self, variables: Mapping[str, str]) -> Iterator[Problem]:
        """Yield a problem for each placeholder that has no value, with its first place in the SQL
        or in a header's list.
        """
        expected = ""
        if variables:
            expected = f"one of {', '.join(sorted(variables))}"
        gives = _GIVES_VARIANTS if self.name.count("/") > 1 else _GIVES
        missing = set()
        for where, match in self._uses():
            name = match["name"]
            if name in variables or name in missing:
                continue
            missing.add(name)
            remedy = did_you_mean(name, variables) + gives
            yield Problem(f"no value for {name}", where, expected, f":{match[0]}", remedy)

    def _uses(self) -> Iterator[tuple[str, re.Match[str]]]:
        """Yield the place of each placeholder, and the placeholder without its colon."""
        for start, _, match in placeholders.find(self.text):
            if match["name"] in self.variables - self.bounds:
                line = self.text.count("\n", 0, start) + 1
                yield f"{self.name}:{line}", match
        for key in ("requires", "fills"):
            for _, _, match in placeholders.find(self.header.get(key, "")):
                yield f"{self.name}, header {key}", match

    def statements_with(self, variables: Mapping[str, str]) -> tuple[Statement, ...]:
        """Return the statements of `render`, which know the lines of the file: its header is
        counted. In place of the bounds of a batch they have NULL: they take no row.
        """
        if not self.variables:
            return self.parsed
        values = {**variables, **dict.fromkeys(self.bounds, "NULL")}
        return statements(substitute(self.text, values), self.name)

    @cached_property
    def parsed(self) -> tuple[Statement, ...]:
        """The statements, with each placeholder read as an identifier of its own name."""
        return statements(self.parsable, self.name)

    @property
    def parsable(self) -> str:
        """The text with each placeholder as an identifier of its own name."""
        if not self.variables:
            return self.text
        # in quotes, as a name may be a word of SQL's
        return substitute(self.text, {name: name for name in self.variables}, bare='"')

    def _problems(self) -> Iterator[Problem]:
        yield from header_problems(self.text, self.header, self.name)
        try:
            found = self.parsed
        except ParseError as exc:
            yield syntax_problem(exc, self.parsable, self.name)
            return
        if not found:
            yield Problem(
                "holds no statement", where=self.name, remedy="write its SQL, or delete the file"
            )
        kept = not self.name.startswith("verify/")  # which is rolled back
        if not kept:
            spans = [(each.line, each.line + each.sql.count("\n")) for each in found]
            yield from check_lines.problems(self.text, spans, self.name)
        for number, what, remedy in find_misplaced([s.node for s in found], kept=kept):
            place = f"{self.name}:{found[number].line}"
            yield Problem(what, where=place, found=found[number].sql, remedy=remedy)


# How placeholders get their values: those of a file, and those of a variant, which lies in a
# folder.
_GIVES = (
    "run.locate(…) gives the two placeholders that it names their values, and run.allow(…) gives "
    "`value`: "
    "call it in a cell above the preconditions"
)
_GIVES_VARIANTS = "run.allow(…) gives a variant no others"


def statements(sql: str, file: str = "") -> tuple[Statement, ...]:
    """Split and parse SQL, of a file or not, with PostgreSQL's own parser. Raises pglast's
    ParseError.
    """
    found = []
    end, line, counted = 0, 1, 0
    for raw in pglast.parse_sql(sql):
        start = raw.stmt_location
        stop = start + raw.stmt_len
        if not raw.stmt_len:  # the last one has no semicolon
            stop = len(sql)
        body = sql[start:stop]
        offset = start + len(body) - len(body.lstrip())
        check = check_lines.last_sentence(sql, end, offset)
        line += sql.count("\n", counted, offset)
        counted = offset
        found.append(Statement(body.strip(), line, raw.stmt, check, file))
        end = stop
    return tuple(found)


def syntax_problem(exc: ParseError, sql: str, name: str) -> Problem:
    """Return a syntax error with its file, line and caret."""
    message, *rest = exc.args
    end = len(sql.rstrip())
    index = end
    if rest and rest[0] is not None:  # None: at the end of the input
        index = min(rest[0], end)
    message = message.split("\n", 1)[0]  # of what is not terminated it repeats the rest of the file
    line = sql.count("\n", 0, index) + 1
    start = sql.rfind("\n", 0, index) + 1
    shown = redact(sql[start:].split("\n", 1)[0])
    return Problem(message, where=f"{name}:{line}", found=f"{shown}\n{' ' * (index - start)}^")


# What of a tree in JSON says where something stands. A name is followed by a colon nowhere else:
# a quote inside a string is escaped.
_PLACE = r'"(?:location|stmt_location|stmt_len|list_start|list_end|version)":-?\d+'
_PLACES = re.compile(rf"{_PLACE},|,?{_PLACE}")
