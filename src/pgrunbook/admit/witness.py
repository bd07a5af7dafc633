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
    """One session, and its answers by now. What it was `told` before, it does not ask again."""

    conn: Connection
    told: Mapping[_Question, Rows] = field(default_factory=dict)
    judged: dict[Hashable, str | bool | None] = field(default_factory=dict)
    answers: dict[_Question, Rows] = field(default_factory=dict)

    def rows(self, name: str, **parameters: Any) -> Rows:
        """The rows of a named query of the catalog."""
        return self.together({name: parameters})[name]

    def together(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Rows]:
        """The rows of several, in one round trip."""
        asked = {name: _question(name, parameters) for name, parameters in questions.items()}
        new = {
            name: questions[name] for name, question in asked.items() if question not in self.told
        }
        found = catalog.rows_of_several(self.conn, new) if new else {}
        for name, question in asked.items():
            self.answers[question] = found[name] if name in found else self.told[question]
        return {name: self.answers[question] for name, question in asked.items()}

    def answer(self, query: sql.Composed) -> object:
        """What a query of one value answers. Raises psycopg.Error, which the transaction
        outlasts.
        """
        question = (query.as_string(self.conn), ())
        if question not in self.told:
            with (
                self.conn.transaction(),
                self.conn.cursor(row_factory=psycopg.rows.dict_row) as cursor,
            ):
                self.answers[question] = cursor.execute(query).fetchall()
        else:
            self.answers[question] = self.told[question]
        return next((value for row in self.answers[question] for value in row.values()), None)

    def widening(self, trial: Trial, expression: str) -> str | None:
        """See `Trial.widening`. What that gives is tried, too: it is what the expression will
        be.
        """
        if (key := _key(trial, expression)) in self.judged:
            return self.judged[key]  # type: ignore[return-value]
        found = self.judged[key] = trial.widening(expression)
        with suppress(CannotJudge):
            if found:
                self.judged[_key(trial, found)] = trial.widening(found)
        return found

    def possible(self, trial: Trial, expression: str | None) -> bool:
        """See `Trial.possible`."""
        key = ("possible", _key(trial, expression or "true"))
        if key not in self.judged:
            self.judged[key] = trial.possible(expression)
        return bool(self.judged[key])

    def asking(self, conn: Session) -> list[str]:
        """All that was asked, as statements for another session: see `repeated`."""
        asked = [
            catalog.statement(conn, name, **dict(given)) if given else name
            for name, given in self.answers
        ]
        # The server plans a query when it is first executed. Planning takes longer than all the
        # rest of this one: it is done now, before there are any locks.
        for (name, _), statement in zip(self.answers, asked, strict=True):
            if name == "admission_strangers":
                conn.execute(f"EXPLAIN {statement}".encode())
                break
        return asked

    def repeated(self, conn: Connection, answers: Iterable[Rows]) -> Witness:
        """A witness in the session that these answers, one for each of `asking`, come from."""
        return Witness(conn, dict(zip(self.answers, answers, strict=True)), dict(self.judged))


def _question(name: str, parameters: Mapping[str, Any]) -> _Question:
    return name, tuple((key, _frozen(value)) for key, value in parameters.items())


def _frozen(value: Any) -> Any:
    return _List(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


class _List(list[Any]):
    """A list that does not change, so that it can be a part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))


def _key(trial: Trial, expression: str) -> Hashable:
    """The same for two expressions that say the same of the same value, in a row of the same
    columns.
    """
    try:
        text = gist(expressions.parse(expression), trial.subject)
    except ParseError:  # it is said where it is judged
        text = expression
    return trial.subject, trial.value, trial.owner, trial.alias, tuple(trial.cells.items()), text
