"""Caches what a session answers about a column, and lets another one ask all of it again in one
message.

A column is looked at again while its table is locked, and the application waits: there is no time
for a round trip a question. So all that was asked before the lock is sent once more, together with
the statements that take it. What an expression says of a value is not asked again, as it does not
depend on what the table holds.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from pglast.parser import ParseError
from psycopg import sql

from pgrunbook.admit import expressions
from pgrunbook.admit.check_evaluator import CannotJudge, CheckEvaluator
from pgrunbook.admit.gist import gist
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session

Rows = list[dict[str, Any]]

# A catalog query with its parameters as JSON; or, with none, the text of another query.
_Question = tuple[str, str]


@dataclass(slots=True)
class AnswerCache:
    """A session, and what it has answered.

    - `known` are answers that it was given: these questions it does not send.
    - `evaluated` has what is known of expressions: their widening, or whether they may accept the
      value.
    - `answers` has all that was asked, in that order, whether it was sent or known.
    """

    conn: Session
    known: Mapping[_Question, Rows] = field(default_factory=dict)
    evaluated: dict[Hashable, str | bool | None] = field(default_factory=dict)
    answers: dict[_Question, Rows] = field(default_factory=dict)

    def rows(self, name: str, **parameters: Any) -> Rows:
        """Return the rows of a named query of the catalog."""
        return self.rows_of_several({name: parameters})[name]

    def rows_of_several(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Rows]:
        """Return the rows of several such queries, by their names, in one round trip."""
        rows: dict[str, Rows] = {}
        new: dict[str, Mapping[str, Any]] = {}
        for name, parameters in questions.items():
            question = _question(name, parameters)
            if question in self.known:
                rows[name] = self.known[question]
            else:
                new[name] = parameters
        if new:
            rows |= catalog.rows_of_several(self.conn, new)
        # in the order of the questions: `statements` repeats them so
        for name, parameters in questions.items():
            self.answers[_question(name, parameters)] = rows[name]
        return rows

    def answer(self, query: sql.Composed) -> object:
        """Return what a query of one value answers; None if it has no row. Raises psycopg.Error,
        which the transaction outlasts.
        """
        question = (query.as_string(self.conn), "")
        if question in self.known:
            rows = self.known[question]
        else:
            # in a savepoint: a value that the type does not take is an answer, too
            with (
                self.conn.transaction(),
                self.conn.cursor(row_factory=psycopg.rows.dict_row) as cursor,
            ):
                rows = cursor.execute(query).fetchall()
        self.answers[question] = rows
        return next(iter(rows[0].values())) if rows else None

    def widening(self, evaluator: CheckEvaluator, expression: str) -> str | None:
        """See `CheckEvaluator.widening`. What that gives is evaluated, too: it is what the
        expression will be.
        """
        key = _key(evaluator, expression)
        if key in self.evaluated:
            return self.evaluated[key]  # type: ignore[return-value]
        found = self.evaluated[key] = evaluator.widening(expression)
        if found:
            with suppress(CannotJudge):
                self.evaluated[_key(evaluator, found)] = evaluator.widening(found)
        return found

    def possible(self, evaluator: CheckEvaluator, expression: str | None) -> bool:
        """See `CheckEvaluator.possible`."""
        key = ("possible", _key(evaluator, expression or "true"))
        if key not in self.evaluated:
            self.evaluated[key] = evaluator.possible(expression)
        return bool(self.evaluated[key])

    def statements(self, conn: Session) -> list[str]:
        """Return all that was asked, as statements for another session: see `with_answers`."""
        statements = []
        planned = False
        for name, parameters in self.answers:
            if not parameters:  # not the name of a query, but its text
                statements.append(name)
                continue
            statements.append(catalog.statement(conn, name, **json.loads(parameters)))
            # The server plans a query when it is first executed. Planning takes longer than all the
            # rest of this one: it is done now, before there are any locks.
            if name == "admission_strangers" and not planned:
                conn.execute(f"EXPLAIN {statements[-1]}".encode())
                planned = True
        return statements

    def with_answers(self, conn: Session, answers: Iterable[Rows]) -> AnswerCache:
        """Return a cache that knows these answers, one for each of `statements`; `conn` is the
        session that has sent them.
        """
        return AnswerCache(
            conn, dict(zip(self.answers, answers, strict=True)), dict(self.evaluated)
        )


def _question(name: str, parameters: Mapping[str, Any]) -> _Question:
    return name, json.dumps(parameters)


def _key(evaluator: CheckEvaluator, expression: str) -> Hashable:
    """Return a key that two expressions have in common if they say the same of the same value, in a
    row of the same columns.
    """
    try:
        text = gist(expressions.parse(expression), evaluator.subject)
    except ParseError:  # it is said where it is evaluated
        text = expression
    about = evaluator.subject, evaluator.value, evaluator.owner, evaluator.alias
    return *about, tuple(evaluator.row_columns.items()), text
