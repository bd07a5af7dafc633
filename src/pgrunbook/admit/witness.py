"""What the server says when it is asked about the values of a column: remembered, and asked again
in one message.

To look again at a column while its table is locked, no question may wait for the answer to another.
So all that was asked before the lock is asked once more, together with the statements that take it;
and what an expression says of a value is known beforehand, as that does not depend on what the
table holds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from pglast.parser import ParseError
from psycopg import sql

from pgrunbook.admit import expressions
from pgrunbook.admit.gist import gist
from pgrunbook.admit.try_check import CannotJudge, Trial
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.session import Session

Rows = list[dict[str, Any]]

# A catalog query with its parameters, or a question that is answered by yes or no.
_Question = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass(slots=True)
class Witness:
    """One session, and its answers by now. What it was `told` before, it does not ask again.

    `judged` has what is known of expressions: their widening, or whether they may accept the value.
    """

    conn: Connection
    told: Mapping[_Question, Rows] = field(default_factory=dict)
    judged: dict[Hashable, str | bool | None] = field(default_factory=dict)
    answers: dict[_Question, Rows] = field(default_factory=dict)

    def rows(self, name: str, **parameters: Any) -> Rows:
        """Return the rows of a named query of the catalog."""
        return self.together({name: parameters})[name]

    def together(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Rows]:
        """Return the rows of several, in one round trip."""
        known: dict[str, Rows] = {}
        new: dict[str, Mapping[str, Any]] = {}
        for name, parameters in questions.items():
            question = _question(name, parameters)
            if question in self.told:
                known[name] = self.told[question]
            else:
                new[name] = parameters
        if new:
            known |= catalog.rows_of_several(self.conn, new)
        # in the order of the questions: `statements` repeats them so
        for name, parameters in questions.items():
            self.answers[_question(name, parameters)] = known[name]
        return known

    def answer(self, query: sql.Composed) -> object:
        """Return what a query of one value answers; None if it has no row. Raises psycopg.Error,
        which the transaction outlasts.
        """
        question = (query.as_string(self.conn), ())
        if question in self.told:
            rows = self.told[question]
        else:
            # in a savepoint: a value that the type does not take is an answer, too
            with (
                self.conn.transaction(),
                self.conn.cursor(row_factory=psycopg.rows.dict_row) as cursor,
            ):
                rows = cursor.execute(query).fetchall()
        self.answers[question] = rows
        for row in rows:
            return next(iter(row.values()))
        return None

    def widening(self, trial: Trial, expression: str) -> str | None:
        """See `Trial.widening`. What that gives is tried, too: it is what the expression will
        be.
        """
        key = _key(trial, expression)
        if key in self.judged:
            return self.judged[key]  # type: ignore[return-value]
        found = self.judged[key] = trial.widening(expression)
        if found:
            with suppress(CannotJudge):
                self.judged[_key(trial, found)] = trial.widening(found)
        return found

    def possible(self, trial: Trial, expression: str | None) -> bool:
        """See `Trial.possible`."""
        key = ("possible", _key(trial, expression or "true"))
        if key not in self.judged:
            self.judged[key] = trial.possible(expression)
        return bool(self.judged[key])

    def statements(self, conn: Session) -> list[str]:
        """Return all that was asked, as statements for another session: see `repeat`."""
        statements = []
        planned = False
        for name, parameters in self.answers:
            if not parameters:  # not the name of a query, but its text
                statements.append(name)
                continue
            statements.append(catalog.statement(conn, name, **dict(parameters)))
            # The server plans a query when it is first executed. Planning takes longer than all the
            # rest of this one: it is done now, before there are any locks.
            if name == "admission_strangers" and not planned:
                conn.execute(f"EXPLAIN {statements[-1]}".encode())
                planned = True
        return statements

    def repeat(self, conn: Connection, answers: Iterable[Rows]) -> Witness:
        """Return a witness that knows these answers, one for each of `statements`, of the session
        that has sent them.
        """
        return Witness(conn, dict(zip(self.answers, answers, strict=True)), dict(self.judged))


def _question(name: str, parameters: Mapping[str, Any]) -> _Question:
    """Return the key of a question: its parameters may be lists, which cannot be hashed."""
    frozen: list[tuple[str, Any]] = []
    for key, value in parameters.items():
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        frozen.append((key, _List(value) if is_list else value))
    return name, tuple(frozen)


class _List(list[Any]):
    """A list that does not change, so that it can be a part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))


def _key(trial: Trial, expression: str) -> Hashable:
    """Return a key that two expressions have in common if they say the same of the same value, in a
    row of the same columns.
    """
    try:
        text = gist(expressions.parse(expression), trial.subject)
    except ParseError:  # it is said where it is judged
        text = expression
    return trial.subject, trial.value, trial.owner, trial.alias, tuple(trial.cells.items()), text
