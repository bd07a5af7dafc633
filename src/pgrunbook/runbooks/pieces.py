"""Cuts a SQL file that was written for another tool into pieces that can be blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pglast
from pglast import ast
from pglast.enums import TransactionStmtKind
from pglast.parser import ParseError, scan

from pgrunbook.errors import Problem
from pgrunbook.runbooks import imported_settings
from pgrunbook.runbooks.migration_marks import blank
from pgrunbook.runbooks.migrations import MigrationPart, Note
from pgrunbook.runbooks.scripts import syntax_problem
from pgrunbook.runbooks.transaction_rules import needs_no_transaction


@dataclass(frozen=True, slots=True)
class Piece:
    """What one block is made of: SQL of a file, from `line` on. `settings` are the SET statements
    of pieces before it, as SET LOCAL: in the file they held for this SQL, too.
    """

    text: str
    line: int
    transaction: bool = True
    settings: tuple[str, ...] = ()
    statement_timeout: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """The pieces of a file in their order, what is said in another way, and what is wrong."""

    pieces: tuple[Piece, ...] = ()
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()


def cut(part: MigrationPart) -> Cut:
    """Cut a file where it has to be: at a COMMIT, around what PostgreSQL refuses inside a
    transaction, and behind a new value of an enum that the rest of the file uses.
    """
    text, notes, problems = _blank_psql(part)
    try:
        segments = _segments(text)
    except ParseError as exc:
        return Cut(problems=(*problems, _syntax(exc, text, part.file)))
    cutting = _Cutting(part.file)
    for segment in segments:
        cutting.take(segment, used_later=_uses(segment, segments))
    return Cut(cutting.pieces(), (*notes, *cutting.notes), (*problems, *cutting.problems))


@dataclass(frozen=True, slots=True)
class _Segment:
    """A statement with the comments before it, and the semicolon and the comment behind it in its
    line.
    """

    before: str
    sql: str
    after: str
    first_line: int  # of the comments
    line: int
    node: Any

    @property
    def text(self) -> str:
        return self.before + self.sql + self.after

    def with_sql(self, sql: str) -> _Segment:
        """Return the same with other SQL; with none, only comments and line breaks are
        left of it.
        """
        if sql:
            return replace(self, sql=sql)
        return replace(self, sql=blank(self.sql), after=self.after.replace(";", "", 1))


@dataclass(slots=True)
class _Group:
    """Segments that become one piece. `changes`: there is more in it than comments and settings."""

    transaction: bool
    settings: tuple[str, ...]
    statement_timeout: str
    segments: list[_Segment] = field(default_factory=list)
    changes: bool = False


@dataclass(slots=True)
class _Cutting:
    """Cuts a file: takes its statements one after the other, and puts each into a group."""

    file: str
    groups: list[_Group] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _settings: list[tuple[str, int]] = field(default_factory=list)
    _statement_timeout: str = ""
    _closed: bool = True

    def take(self, segment: _Segment, used_later: int | None) -> None:
        """Put a statement to those before it, or into a piece of its own."""
        where = f"{self.file}:{segment.line}"
        if said := _boundary(segment.node):
            what = f"{said} is left out: a block commits with its ledger row"
            self.notes.append(Note(what, where))
            self._group(transaction=True).segments.append(segment.with_sql(""))
            self._closed = self._closed or said == "COMMIT"
        elif setting := imported_settings.read(segment.node, segment.sql):
            self._take_setting(segment, setting, where)
        else:
            self._take_statement(segment)
        if used_later:
            what = f"a block ends here: line {used_later} uses the value, which has to be committed"
            self.notes.append(Note(what, where))
            self._closed = True

    def _take_setting(
        self, segment: _Segment, setting: imported_settings.Setting, where: str
    ) -> None:
        self._statement_timeout = self._statement_timeout or setting.statement_timeout
        group = self._group(transaction=True)
        group.statement_timeout = group.statement_timeout or self._statement_timeout
        group.segments.append(segment.with_sql(setting.sql))
        self.notes.append(Note(setting.note, where))
        if setting.sql:
            self._settings.append((setting.sql, segment.line))

    def _take_statement(self, segment: _Segment) -> None:
        alone = needs_no_transaction(segment.node)
        # COMMENT runs inside a transaction and outside: it stays with what it is about
        if isinstance(segment.node, ast.CommentStmt) and self.groups and not self._closed:
            alone = not self.groups[-1].transaction
        if alone:
            for sql, line in self._settings:
                what = f"cannot hold for line {segment.line}, which runs outside a transaction"
                remedy = "delete it, or give what it eases a file of its own"
                self.problems.append(Problem(what, f"{self.file}:{line}", found=sql, remedy=remedy))
            self._settings.clear()
        group = self._group(transaction=not alone)
        group.segments.append(segment)
        group.changes = True

    def _group(self, *, transaction: bool) -> _Group:
        """Return the present group, or a new one where it has to be one."""
        if self.groups and not self._closed and self.groups[-1].transaction == transaction:
            return self.groups[-1]
        settings: list[str] = []
        if transaction:
            settings = [sql for sql, _ in self._settings]
        self.groups.append(_Group(transaction, tuple(settings), self._statement_timeout))
        self._closed = False
        return self.groups[-1]

    def pieces(self) -> tuple[Piece, ...]:
        """Return the groups that change something. Comments of the others go to their
        neighbours.
        """
        pieces: list[Piece] = []
        waiting: list[_Segment] = []
        for group in self.groups:
            if group.changes:
                pieces.append(_piece(group, [*waiting, *group.segments]))
                waiting = []
            else:
                waiting += [segment.with_sql("") for segment in group.segments]
        if pieces and waiting:
            rest = "".join(segment.text for segment in waiting).rstrip()
            pieces[-1] = replace(pieces[-1], text=pieces[-1].text + rest)
        return tuple(pieces)


def _piece(group: _Group, segments: Sequence[_Segment]) -> Piece:
    text = "".join(segment.text for segment in segments)
    ends = re.match(r"(?:[ \t]*\r?\n)*", text)
    assert ends  # it can match nothing
    line = segments[0].first_line + ends[0].count("\n")
    return Piece(
        text[ends.end() :].rstrip(),
        line,
        group.transaction,
        group.settings,
        group.statement_timeout,
    )


def _segments(text: str) -> list[_Segment]:
    """Return the statements of a file; the last one has all that is behind it. Raises pglast's
    ParseError.
    """
    segments = []
    end = 0
    code = [token for token in scan(text) if not token.name.endswith("_COMMENT")]
    for raw in pglast.parse_sql(text):
        stop = raw.stmt_location + raw.stmt_len
        if not raw.stmt_len:  # the last one has no semicolon: it ends with the last token
            stop = code[-1].end + 1
        body = text[raw.stmt_location : stop]
        start = raw.stmt_location + len(body) - len(body.lstrip())
        behind = re.compile(r";?[ \t]*(?:--[^\n]*)?(?:\n|$)|;?").match(text, stop)
        assert behind  # it can match nothing
        segments.append(
            _Segment(
                text[end:start],
                text[start:stop],
                behind[0],
                text.count("\n", 0, end) + 1,
                text.count("\n", 0, start) + 1,
                raw.stmt,
            )
        )
        end = behind.end()
    if segments:
        segments[-1] = replace(segments[-1], after=segments[-1].after + text[end:])
    return segments


def _boundary(node: Any) -> str:
    """BEGIN or COMMIT without options, whichever it is called; else nothing."""
    match node:
        case ast.TransactionStmt(options=None, kind=kind, chain=False):
            return _BOUNDARIES.get(kind, "")
    return ""


_BOUNDARIES = {
    TransactionStmtKind.TRANS_STMT_BEGIN: "BEGIN",
    TransactionStmtKind.TRANS_STMT_START: "BEGIN",
    TransactionStmtKind.TRANS_STMT_COMMIT: "COMMIT",
}


def _uses(segment: _Segment, segments: Sequence[_Segment]) -> int | None:
    """Return the line that uses the value which this statement adds to an enum: PostgreSQL lets
    nobody use it before it is committed.
    """
    match segment.node:
        case ast.AlterEnumStmt(newVal=str(value), oldVal=None):
            doubled = value.replace("'", "''")
            for other in segments[segments.index(segment) + 1 :]:
                if f"'{doubled}'" in other.sql:
                    return other.line
    return None


def _syntax(exc: ParseError, text: str, file: str) -> Problem:
    """Return a syntax error; a placeholder of psql's is one, too."""
    problem = syntax_problem(exc, text, file)
    if 'at or near ":"' in problem.what:
        remedy = "write its value in its place"
        return replace(problem, what="has a placeholder, which psql is given", remedy=remedy)
    remedy = "psql cannot take it either: mend it, or take the file out of the folder"
    return replace(problem, remedy=remedy)


# The data end with a line of their own.
_COPIED = re.compile(
    r"^[ \t]*COPY\b[^;]*?\bFROM\s+STDIN\b[^;]*;[^\n]*\n(?P<rows>.*?^\\\.[ \t]*\r?$)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)


# What pg_dump writes around its SQL, so that psql takes no other command in between: here it is
# refused anyhow.
_RESTRICTS = re.compile(r"\\(un)?restrict\s+\w+")


def _blank_psql(part: MigrationPart) -> tuple[str, list[Note], list[Problem]]:
    """Return the text without what psql itself reads, so that the rest can be parsed: its commands,
    and the rows behind COPY, which is named by whoever reads the statement.
    """
    text = part.text
    # from the end on: what comes before keeps its place
    for match in reversed([*_COPIED.finditer(text)]):
        start, stop = match.span("rows")
        text = text[:start] + blank(text[start:stop]) + text[stop:]
    notes = []
    problems = []
    for start in reversed([*_commands(text)]):
        command, _, _ = text[start:].partition("\n")
        stop = start + len(command)
        command = command.strip()
        line = text.count("\n", 0, start) + 1
        where = f"{part.file}:{line}"
        if _RESTRICTS.fullmatch(command):
            word, _ = command.split()
            notes.append(Note(f"{word} is left out: it is for psql alone", where))
            text = text[:start] + blank(text[start:stop]) + text[stop:]
            continue
        problems.append(
            Problem(
                "is a command of psql's, which the server does not know",
                where,
                found=command,
                remedy="delete it, or write what it does as SQL",
            )
        )
        text = f"{text[:start]};{text[stop:]}"
    return text, notes[::-1], problems[::-1]


def _commands(text: str) -> Iterator[int]:
    """Yield where psql's commands begin: at the first backslash of a line that is in no string."""
    try:
        starts = [token.start for token in scan(text) if token.name == "ASCII_92"]
    except ParseError:  # what follows a command need not be SQL
        starts = [match.end() - 1 for match in re.finditer(r"^[ \t]*\\", text, re.MULTILINE)]
    lines = set()
    for start in starts:
        line = text.count("\n", 0, start)
        if line not in lines:
            yield start
        lines.add(line)
