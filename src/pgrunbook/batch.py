"""The statements of a transaction, sent as one message: how long each took, which locks it took, which of them failed.

While the transaction is open others may wait for it, so nothing is waited for between two of its statements: after
each, the server itself says what time it is and what the transaction holds.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
"""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from pgrunbook import catalog, searchpath
from pgrunbook.catalog import Connection
from pgrunbook.errors import Failed
from pgrunbook.locks import Lock, Trace
from pgrunbook.parameters import milliseconds
from pgrunbook.scripts import Statement
from pgrunbook.session import Session

_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now"
_BETWEEN = "\n;\n"  # a statement may end with a comment


class _Part(NamedTuple):
    """A part of the message: what takes the rows of its result, and the statement, if it is one of those to be run."""

    sql: str
    take: Callable[[list[dict[str, Any]]], object] | None = None
    statement: Statement | None = None


class _Seen(NamedTuple):
    """The locks that were held after so many statements, and how many were done at the look before."""

    since: int
    number: int
    held: Mapping[str, Any]


@dataclass(slots=True)
class Batch:
    """Statements that begin a transaction on `conn`. `traced`: whether to look after each of them, and not only after
    the last, which locks are held. pg_locks is read as a whole, and others wait for a lock meanwhile.
    """

    conn: Session
    statements: Sequence[Statement]
    traced: bool = True
    # The statement that has failed, if it was one of them, and the index of the character where, if the server says.
    failed: tuple[Statement, int | None] | None = None
    _parts: list[_Part] = field(default_factory=list)
    _rows: list[dict[str, Any]] = field(default_factory=list)  # of the last query
    _allowed_s: float = 0.0  # for each statement
    _sent_at: float = 0.0  # by time.perf_counter, as is the next
    _received_at: float = 0.0
    _began: float = 0.0  # in seconds of the server's, as are the next two
    _now: float = 0.0
    _spans: list[tuple[float, float]] = field(default_factory=list)  # of each statement
    _seen: list[_Seen] = field(default_factory=list)
    _newest: int = 0  # the highest OID of what was there before

    def send(self, timeouts: Mapping[str, str], last: str) -> None:
        """Begin the transaction with these timeouts, all three by their names; run the statements, then the query
        `last`. Returns when all of it is on its way: `receive` has the answers.
        """
        self._parts = [*self._message(timeouts, last)]
        self._allowed_s = milliseconds(timeouts["statement_timeout"]) / 1000
        self._sent_at = time.perf_counter()
        self.conn.send(_BETWEEN.join(part.sql for part in self._parts))

    def _message(self, timeouts: Mapping[str, str], last: str) -> Iterator[_Part]:
        held = catalog.asking(self.conn, "held")
        yield _Part("BEGIN")
        yield _Part(catalog.asking(self.conn, "begun", **timeouts), self._begun)
        for statement in self.statements:
            final = statement is self.statements[-1]
            yield _Part(searchpath.theirs(self.conn.schema))
            yield _Part(statement.sql, None, statement)
            yield _Part(searchpath.ours())
            yield _Part(_NOW, self._ended)
            if self.traced or final:
                yield _Part(held, self._looked)
            if self.traced and not final:
                yield _Part(_NOW, self._resumed)
        yield _Part("SET LOCAL enable_seqscan = off")  # the plan is kept, made when the catalog was small, and it grows
        yield _Part(last, self._rows.extend)

    def _begun(self, rows: list[dict[str, Any]]) -> None:
        self._now = self._began = rows[0]["now"]
        self._newest = rows[0]["last"]

    def _ended(self, rows: list[dict[str, Any]]) -> None:
        before, self._now = self._now, rows[0]["now"]
        self._spans.append((before, max(before, self._now)))  # the clock may have been set back

    def _looked(self, rows: list[dict[str, Any]]) -> None:
        since = self._seen[-1].number if self._seen else 0
        self._seen.append(_Seen(since, len(self._spans), rows[0]))

    def _resumed(self, rows: list[dict[str, Any]]) -> None:
        self._now = rows[0]["now"]  # to look was no part of the next statement's time

    def receive(self) -> list[dict[str, Any]]:
        """The rows of the last query. Raises the psycopg.Error of what fails; nothing after it is run."""
        with self.conn.allowing(self._allowed_s), self.conn.message_of(len(self.statements)):
            results = self.conn.results()
        self._received_at = time.perf_counter()
        if len(results) > len(self._parts):
            remedy = "see to the rules of the tables: one that is DO ALSO SELECT answers, too"
            raise Failed.of("the server gives more answers than there are statements", remedy=remedy)
        for place, (part, result) in enumerate(zip(self._parts, results, strict=False)):  # an error ends them
            if result.status == ExecStatus.FATAL_ERROR:
                raise self._error(place, result)
            if part.take:
                part.take(self.conn.rows(result))
        return self._rows

    def _error(self, place: int, result: PGresult) -> psycopg.Error:
        """The server's error; `failed` is set to the statement that it is about. What is no SQL fails the message as a
        whole, before its first part is run: then the position tells which statement.
        """
        error = psycopg.errors.error_from_result(result)
        ends = [0, *accumulate(len(part.sql) + len(_BETWEEN) for part in self._parts)]
        index = self.conn.index(error, _BETWEEN.join(part.sql for part in self._parts))
        if place == 0 and index is not None:
            place = bisect(ends, index) - 1
        if statement := self._parts[place].statement:
            self.failed = statement, None if index is None else index - ends[place]
        return error

    @property
    def began_at(self) -> datetime:
        """When the transaction began, by the server's clock."""
        return datetime.fromtimestamp(self._began, UTC)

    @property
    def laps(self) -> list[tuple[str, float]]:
        """Each statement's text, and how many milliseconds the server has worked on it."""
        pairs = zip(self.statements, self._spans, strict=True)
        return [(statement.sql, (ended - began) * 1000) for statement, (began, ended) in pairs]

    def locks(self, look: Connection) -> tuple[Lock, ...]:
        """The locks on what existed before the transaction, held until now. `look` is another session: what that one
        sees in the catalog existed before. What was seen only at the end may be held since the first statement.
        """
        # Of what was not there when our transaction began, others may have made some while it waited.
        oids = sorted({oid for seen in self._seen for oid in seen.held["oids"] if self.traced or oid <= self._newest})
        there = catalog.rows(look, "existed", oids=oids) if oids else []
        existed = {row["oid"]: row for row in there}
        trace = Trace()
        files: dict[int, int] = {}
        for since, number, held in self._seen:
            modes = zip(held["oids"], held["modes"], strict=True)
            rows = [existed[oid] | {"mode": mode} for oid, mode in modes if oid in existed]
            after = self._spans[since][0] - self._spans[0][0]
            trace.note(number, min(self._sent_at + max(0.0, after), self._received_at), rows)
            files |= {oid: file for oid, file in zip(held["oids"], held["filenodes"], strict=True) if file}
        return trace.locks(files)  # what was dropped has no file
