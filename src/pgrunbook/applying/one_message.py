"""Sends the statements of a transaction as one message, and tells how long each took, which locks
it took, and which one failed.

While the transaction is open others may wait for its locks. Sent one by one, each statement would
cost a round trip, with the locks held: so all are sent at once. Between them stand queries of ours,
by which the server says what time it is and which locks the transaction has. All locks have to be
got before one deadline, which the server keeps, too.
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
from pglast import ast
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.sql import Identifier

from pgrunbook.applying import footprint
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed
from pgrunbook.planning import server_checks
from pgrunbook.postgres import catalog, results, search_path, session_settings
from pgrunbook.postgres.locks import Lock, Trace
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.mentions import adds_its_own_rows

# Statements that call no function but those of a default, a CHECK or an index: they set no path and
# no role for the statements behind them.
_PLAIN = (ast.CreateStmt, ast.IndexStmt, ast.AlterTableStmt, ast.CommentStmt)

# Runs the constraints and triggers that are deferred until the commit, while the block's search
# path still holds: what they change is read with its effect, and their time counts as the block's.
_NOT_DEFERRED = "SET CONSTRAINTS ALL IMMEDIATE"

# A number of all its digits, whatever the block has set: a float may be rounded, to hours at worst.
_NOW = "SELECT extract(epoch FROM pg_catalog.clock_timestamp()) AS now"
_BETWEEN = "\n;\n"  # a statement may end with a comment

# The advisory lock that must still be held by another session: its process id, and the key.
Kept = tuple[int, int]

# A lock is waited for at least as long as this, even if less is left of the deadline: most others
# hold their locks for a shorter time.
_LEAST_MS = 10

_MOST_LOOKS = 500  # at the locks, of more statements: each reads them all


class _Part(NamedTuple):
    """A part of the message.

    - `take` is called with the rows of its result.
    - `statement` is the block's statement that an error of this part is about: itself, the one that
      it takes locks for, or the one behind which it checks the path.
    - `locks`: it is a LOCK TABLE, or what sets the next timeout behind one. It runs in the time
      that is left for locks.
    """

    sql: str
    take: Callable[[list[dict[str, Any]]], object] | None = None
    statement: Statement | None = None
    locks: bool = False

    @property
    def is_statement(self) -> bool:
        """Whether it is the statement itself."""
        return self.statement is not None and self.sql == self.statement.sql


class _Seen(NamedTuple):
    """The locks that were held after so many statements (`number`). At the look before this one,
    `since` of them were done.
    """

    since: int
    number: int
    held: Mapping[str, Any]


@dataclass(slots=True)
class Message:
    """The statements with which a transaction begins on `conn`, as one message.

    - `schema` is the run's.
    - `traced`: they concern what existed before. Then all of them together wait for locks no longer
      than lock_timeout, and the locks are read after each, or some of thousands. Otherwise they
      are read after the last: to read pg_locks makes whoever asks for a lock wait for a moment.
    - `keeper` says which session has to hold the run's lock.
    """

    conn: Session
    schema: str
    statements: Sequence[Statement]
    traced: bool = True
    keeper: Kept | None = None
    path: str = ""  # for names in the statements; the schema's, unless the block has its own
    role: str = ""  # that makes what they make; ours, unless the block has its own
    # The statement that has failed, and the index of the character where, if the server says.
    failed: tuple[Statement, int | None] | None = None
    kept: bool = False  # whether the lock of `keeper` was held at the end
    affected: int = 0  # rows of the last statement, as the server says
    awaits: bool = False  # whether the commit waits for a synchronous standby
    _parts: list[_Part] = field(default_factory=list)
    _answers: list[list[dict[str, Any]]] = field(default_factory=list)  # of the last queries
    _there: list[dict[str, Any]] = field(default_factory=list)  # what is locked, as it was before
    _wait_ms: int = 0
    _allowed_s: float = 0.0  # for each statement
    _sent_at: float = 0.0  # by time.perf_counter, as is the next
    _received_at: float = 0.0
    _began: float = 0.0  # in seconds of the server's, as are the next two
    _now: float = 0.0
    _spans: list[tuple[float, float]] = field(default_factory=list)  # of each statement
    _seen: list[_Seen] = field(default_factory=list)

    def send(self, timeouts: Mapping[str, str], *last: str) -> None:
        """Send BEGIN with these timeouts (see `Timeouts.settings`), the statements, and the queries
        `last`. Returns when all of it is on its way: `receive` waits for the answers.
        """
        self._wait_ms = milliseconds(timeouts["lock_timeout"])
        self._parts = [*self._message(timeouts, last)]
        self._allowed_s = milliseconds(timeouts["statement_timeout"]) / 1000
        self._sent_at = time.perf_counter()
        self.conn.send(_BETWEEN.join(part.sql for part in self._parts))

    def _message(self, timeouts: Mapping[str, str], last: Sequence[str]) -> Iterator[_Part]:
        pid, key = self.keeper or (None, None)
        held = catalog.statement(self.conn, "held", keeper=pid, key=key)
        locks: list[list[str]] = []
        if self.traced:
            schemas = search_path.default(self.conn)
            if self.path:
                schemas = search_path.schemas(self.conn, self.path)
            locks = footprint.lock_statements(self.conn, schemas, self.statements)
        every = len(self.statements) // _MOST_LOOKS + 1
        nodes = [statement.node for statement in self.statements]
        require = require_last = ""
        if self._may_set:
            named = server_checks.named_schemas(self.conn, self.path, nodes, self.role)
            named.update(search_path.default(self.conn))
            require = search_path.require(named)
            require_last = search_path.require(named, last=True)
        # what reads no rows leaves none out
        reads = not all(isinstance(each, _PLAIN) or adds_its_own_rows(each) for each in nodes)
        begun = catalog.statement(self.conn, "begun", sees_every_row=reads, **timeouts)
        yield _Part("BEGIN")
        yield _Part(begun, self._take_transaction)
        if require:
            yield _Part(session_settings.NOTE_OWN)
        for number, statement in enumerate(self.statements):
            waits: list[_Part] = []
            goes_on = self._goes_on(number, locks)
            ends = not self._goes_on(number + 1, locks)
            if locks and not goes_on:
                waits += self._wait(statement, locks[number], timeouts["statement_timeout"])
            # What existed before is noted once the first statement has its locks: what others have
            # made while we waited is part of it. A cursor keeps that moment, and is read later.
            if number == 0 and self.traced:
                before = catalog.with_literals("before", {"schema": self.schema, "cursor": True})
                waits.append(_Part(f"DECLARE pgrunbook_before NO SCROLL CURSOR FOR {before}"))
            yield from waits
            if not goes_on:
                yield from self._enter(number)
            yield _Part(statement.sql, None, statement)
            is_last = statement is self.statements[-1]
            if require:
                yield _Part(require_last if is_last else require, None, statement)
            if is_last:
                yield _Part(_NOT_DEFERRED)
            if ends:
                yield from self._leave()
            yield _Part(_NOW, self._take_end)
            takes = number % every == 0 or (locks and locks[number])
            if ends and (is_last or (self.traced and takes)):
                yield _Part(held, self._take_locks)
        if not self.statements:
            yield _Part(held, self._take_kept)
        elif self.traced:
            yield _Part("FETCH ALL FROM pgrunbook_before", self._there.extend)
        else:
            # Without a cursor, which is planned each time: this query is prepared.
            before = catalog.statement(self.conn, "before", schema=self.schema, cursor=False)
            yield _Part(before, self._there.extend)
        for query in last:
            yield _Part(query, self._answers.append)

    def _goes_on(self, number: int, locks: Sequence[Sequence[str]]) -> bool:
        """Whether only the time is asked between the statement of that number and the one before
        it: they lock what the block makes, or insert rows into the same tables, as in a dump.
        """
        if not 0 < number < len(self.statements) or (locks and locks[number]):
            return False
        if not (self.traced or self._may_set):
            return True
        before, statement = self.statements[number - 1 : number + 1]
        insert = all(isinstance(each.node, ast.InsertStmt) for each in (before, statement))
        return insert and before.relations == statement.relations

    @property
    def _may_set(self) -> bool:
        """Whether a statement, or a function in it, may set path or role for those behind it."""
        return bool(self.role) or not all(isinstance(s.node, _PLAIN) for s in self.statements)

    def _enter(self, number: int) -> Iterator[_Part]:
        """Yield what sets the path and the role of the block, before a statement."""
        if number and self._may_set:
            yield _Part(session_settings.RETURN)
            return
        for setting in session_settings.block_settings(self.path or search_path.of(self.conn)):
            yield _Part(setting)
        if self.role:
            yield _Part(f"SET LOCAL ROLE {Identifier(self.role).as_string()}")

    def _leave(self) -> Iterator[_Part]:
        """Yield what sets the path and the role of the run again, before queries of ours."""
        if self._may_set:
            yield _Part(session_settings.LEAVE)
            return
        for setting in session_settings.own_settings():
            yield _Part(setting)

    def _wait(
        self, statement: Statement, locks: Sequence[str], statement_timeout: str
    ) -> Iterator[_Part]:
        """Yield what takes the locks of a statement before it runs. For locks that the LOCK TABLE
        statements do not take, lock_timeout is set to what is left of the deadline.
        """
        # The statement's time begins behind the query for the locks of the one before it.
        take: Callable[[list[dict[str, Any]]], object] | None = self._take_begin
        for lock in locks:
            yield _Part(self._remaining(None), take)
            yield _Part(lock, None, statement, locks=True)
            take = None
        yield _Part(self._remaining(statement_timeout), take, locks=bool(locks))

    def _remaining(self, statement_timeout: str | None) -> str:
        left = {"wait_ms": self._wait_ms, "least_ms": min(_LEAST_MS, self._wait_ms)}
        return catalog.statement(
            self.conn, "remaining", **left, statement_timeout=statement_timeout
        )

    def _take_transaction(self, rows: list[dict[str, Any]]) -> None:
        self._now = self._began = rows[0]["now"]
        self.awaits = rows[0]["awaits"]

    def _take_begin(self, rows: list[dict[str, Any]]) -> None:
        self._now = rows[0]["now"]

    def _take_end(self, rows: list[dict[str, Any]]) -> None:
        before, self._now = self._now, float(rows[0]["now"])
        self._spans.append((before, max(before, self._now)))  # the clock may have been set back

    def _take_locks(self, rows: list[dict[str, Any]]) -> None:
        since = self._seen[-1].number if self._seen else 0
        self._seen.append(_Seen(since, len(self._spans), rows[0]))
        self._take_kept(rows)

    def _take_kept(self, rows: list[dict[str, Any]]) -> None:
        self.kept = rows[0]["kept"]

    def receive(self) -> list[list[dict[str, Any]]]:
        """Return the rows of each of the last queries. Raises the psycopg.Error of what fails;
        nothing behind it is run.

        If a statement's locks were not to be had in time, that is LockNotAvailable, whichever
        timeout it was.
        """
        with self.conn.allowing(self._allowed_s), self.conn.message_of(len(self.statements)):
            received = self.conn.results()
        self._received_at = time.perf_counter()
        if len(received) > len(self._parts):
            raise Failed.of(
                "the server gives more answers than there are statements",
                remedy="see to the rules of the tables: one that is DO ALSO SELECT answers, too",
            )
        # After an error the server skips the rest: then there are fewer results than parts.
        for place, (part, result) in enumerate(zip(self._parts, received, strict=False)):
            if result.status == ExecStatus.FATAL_ERROR:
                raise self._error(place, result)
            if part.is_statement:
                self.affected = result.command_tuples or 0
            if part.take:
                part.take(results.rows(self.conn, result))
        return self._answers

    def _error(self, place: int, result: PGresult) -> psycopg.Error:
        """Return the server's error, and set `failed` to the statement that it is about."""
        error = psycopg.errors.error_from_result(result)
        starts = [0, *accumulate(len(part.sql) + len(_BETWEEN) for part in self._parts)]
        index = self.conn.index(error, _BETWEEN.join(part.sql for part in self._parts))
        # The server parses the message as a whole. A syntax error comes before the first part is
        # run: then its position tells the statement.
        if place == 0 and index is not None:
            place = bisect(starts, index) - 1
        part = self._parts[place]
        if part.statement:
            at = None
            if index is not None and part.is_statement:
                at = index - starts[place]
            self.failed = part.statement, at
        # If statement_timeout cancels a LOCK TABLE, that has waited for its locks in vain. It may
        # also cancel what comes behind: the server rounds what is left to a millisecond, and that
        # may end just when the locks are got, or when the next timeout is set.
        waited_ms = (self._received_at - self._sent_at) * 1000
        timed_out = isinstance(error, psycopg.errors.QueryCanceled)
        waits = part.locks or (place > 0 and self._parts[place - 1].locks)
        if waits and timed_out and waited_ms >= self._wait_ms - 1:
            return psycopg.errors.LockNotAvailable(str(error))
        return error

    @property
    def began_at(self) -> datetime:
        """When the transaction began, by the server's clock."""
        return datetime.fromtimestamp(self._began, UTC)

    @property
    def laps(self) -> list[tuple[str, float]]:
        """Each statement's text, and how many milliseconds the server has worked on it."""
        laps = []
        for statement, (began, ended) in zip(self.statements, self._spans, strict=True):
            laps.append((statement.sql, (ended - began) * 1000))
        return laps

    def locks(self) -> tuple[Lock, ...]:
        """Return the locks on what existed before the transaction, held until now."""
        existed = {row["oid"]: row for row in self._there}
        trace = Trace()
        files: dict[int, int] = {}
        for since, number, held in self._seen:
            rows = []
            locks = zip(held["oids"], held["modes"], held["filenodes"], strict=True)
            for oid, mode, file in locks:
                if oid in existed:
                    rows.append(existed[oid] | {"mode": mode})
                if file:  # what was dropped has none
                    files[oid] = file
            # The lock was taken after the look before this one: it counts from the beginning of the
            # next statement. That is a time of the server's clock, converted to ours.
            after_s = max(0.0, self._spans[since][0] - self._spans[0][0])
            trace.note(number, min(self._sent_at + after_s, self._received_at), rows)
        return trace.locks(files)
