"""Evaluates the expression of a CHECK on the server, read-only, for a row that holds one given
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from pglast import ast
from pglast.parser import ParseError
from psycopg import sql

from pgrunbook.admit import expressions
from pgrunbook.admit.expressions import Subject
from pgrunbook.postgres import search_path
from pgrunbook.postgres.session import Session


class CannotJudge(Exception):
    """The server does not say whether an expression accepts the value."""


@dataclass(frozen=True, slots=True)
class RowColumn:
    """One column of a row: its base type, its default, and a COLLATE clause if it has its own, all
    as SQL.
    """

    type: str
    default: str | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class CheckEvaluator:
    """Evaluates expressions for one value of one column, over a row that is made up: first nothing
    is assumed of the other columns, then they are as an INSERT of this one column makes them.

    - `path` is the schema for which the expressions were printed.
    - `owner` and `alias` are the table, with its schema and without; both are empty for a domain,
      whose column is VALUE.
    - `row_columns` are the columns of the table, by name.
    """

    conn: Session
    path: str
    subject: Subject
    value: str
    owner: str = ""
    alias: str = ""
    row_columns: Mapping[str, RowColumn] = field(default_factory=dict)

    def widening(self, expression: str) -> str | None:
        """Return the expression that lets the value in as well, or None if it is let in already.

        Of conditions joined by AND only those that reject are widened: the others still hold for
        the value. Raises CannotJudge.
        """
        try:
            # Each part by itself: a CHECK like `kind IN (…) AND amount > 0` keeps its second part.
            parts = expressions.conjuncts(expressions.parse(expression))
            new: list[ast.Node] = []
            rejected = False
            for part in parts:
                if self._rejects(part):
                    rejected = True
                    new.append(expressions.widen(part, self.subject, self.value))
                else:
                    new.append(part)
            if not rejected:
                return None
            return expressions.text(expressions.as_written(expressions.conjunction(tuple(new))))
        except psycopg.Error as exc:
            raise CannotJudge(exc.diag.message_primary or str(exc)) from exc
        except (ParseError, ValueError) as exc:
            raise CannotJudge(str(exc)) from exc

    def concerns(self, expression: str | None) -> bool:
        """Return whether it reads the column at all."""
        if expression is None:
            return False
        return expressions.reads(expressions.parse(expression), self.subject.column)

    def possible(self, expression: str | None) -> bool:
        """Return whether it lets the value in for some values of the other columns, or nobody can
        say.
        """
        if not expression:
            return True
        try:
            shown = self._shown(expressions.parse(expression))
            known = expressions.with_unknown_others(shown, self.subject.column)
            return self._answer(known, self.value) is not False
        except (psycopg.Error, CannotJudge):
            return True

    def _rejects(self, part: ast.Node) -> bool:
        """Return whether a condition keeps the value out.

        First nothing is known of the other columns. Then they have their defaults: a condition that
        rejects the value in such a row, but accepts another one there, rejects it as well.
        """
        column = self.subject.column
        if not expressions.reads(part, column):
            return False
        shown = self._shown(part)
        known = expressions.with_unknown_others(shown, column)
        others = [None, *expressions.literals(part)]
        if self._answer(known, self.value) is False:
            if expressions.columns(known) <= {column}:
                return True
            if any(self._accepts(known, other) for other in others):
                return True
            raise CannotJudge("it depends on the other columns whether it accepts any value")
        if expressions.columns(part) <= {column}:
            return False
        # What a condition that names the value demands of the other columns, it demands on purpose.
        if self.value in others or self._accepts(shown, self.value, filled=True):
            return False
        return any(self._accepts(shown, other, filled=True) for other in others)

    def _shown(self, part: ast.Node) -> ast.Node:
        """Return what the server is asked: where the enum lacks the value, the same about texts."""
        if not self.subject.as_text:
            return part
        if expressions.compares_order(part, self.subject):
            raise CannotJudge(
                "it compares the order of an enum's labels, and the value is not among them"
            )
        return expressions.as_text(part, self.subject)

    def _accepts(self, part: ast.Node, value: str | None, *, filled: bool = False) -> bool:
        try:
            return self._answer(part, value, filled=filled) is not False
        except psycopg.Error:  # the value may not be one of the type; a default may write
            return False

    def _answer(self, part: ast.Node, value: str | None, *, filled: bool = False) -> bool | None:
        """Ask the server: true, false, or None for NULL. The other columns are NULL, or, `filled`,
        have their defaults. Raises psycopg.Error.
        """
        query = sql.SQL("SELECT ({}) FROM {} AS {}").format(
            as_it_is(expressions.text(part)),
            self._row(expressions.columns(part), value, filled=filled),
            sql.Identifier(self.alias or "domain"),
        )
        # The server has printed names without the schema `path`: they need it to be found.
        row = search_path.first_row(self.conn, self.path, query)
        assert row is not None
        answer: bool | None = row[0]
        return answer

    def _row(self, columns: set[str], value: str | None, *, filled: bool) -> sql.Composable:
        """Return a row of typed columns; where the expression reads a whole row, one of the table's
        own row type.
        """
        column = self.subject.column
        if "*" in columns:
            row = sql.SQL(
                "pg_catalog.jsonb_populate_record(NULL::{}, pg_catalog.jsonb_build_object({}, "
                "{}::text))"
            )
            return row.format(as_it_is(self.owner), sql.Literal(column), sql.Literal(value))
        base = "text" if self.subject.as_text else self.subject.types[-1]
        own = self.row_columns.get(column, RowColumn(base))
        entries = [_entry(column, sql.Literal(value), RowColumn(base, collation=own.collation))]
        for name in sorted(columns - {column}):
            # the only system column that a CHECK may read is tableoid
            other = self.row_columns.get(name, RowColumn("oid"))
            default = other.default if filled and other.default else "NULL"
            entries.append(_entry(name, as_it_is(default), other))
        return sql.SQL("(SELECT {})").format(sql.SQL(", ").join(entries))


def _entry(name: str, value: sql.Composable, column: RowColumn) -> sql.Composed:
    """Return a column of the row, cast to its type: a literal or NULL of unknown type would have
    other operators.
    """
    collation = as_it_is(column.collation or "")
    return sql.SQL("CAST({} AS {}){} AS {}").format(
        value, as_it_is(column.type), collation, sql.Identifier(name)
    )


def as_it_is(text: str) -> sql.SQL:
    """Return SQL that the server has printed itself, and that needs no quotes."""
    return sql.SQL(text)
