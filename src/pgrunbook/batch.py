"""The statements of a transaction, sent at once: how long each took, which locks it took, and which of them failed.

While the transaction is open others may wait for it, so nothing is waited for between two of its statements: after
each, the server itself says what time it is and what the transaction holds.
https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Cursor
from psycopg.rows import dict_row

from pgrunbook import catalog
from pgrunbook.catalog import Connection
from pgrunbook.locks import Lock, Trace
from pgrunbook.scripts import Statement


@dataclass(slots=True)
class Batch:
    """Statements of a transaction that `conn` has begun, with its settings: names of parameters, and their values."""

    conn: Connection
    _sent: list[tuple[Statement | None, Cursor[dict[str, Any]]]] = field(default_factory=list)
    _sent_at: float = 0.0  # by time.perf_counter, as is the next
    _received_at: float = 0.0
    _notes: list[dict[str, Any]] = field(default_factory=list)

    def send(self, settings: Mapping[str, str], statements: Sequence[Statement]) -> None:
        """Set the settings for the transaction and run the statements, eight of them in one round trip.

        Raises the psycopg.Error of the first that fails; those after it are not run.
        """
        self._sent_at = time.perf_counter()
        with _not_preparing(self.conn):
            for number, part in enumerate(_parts(statements)):
                self._send(settings if number == 0 else {}, part)
        self._received_at = time.perf_counter()
        self._notes = [cursor.fetchone() or {} for statement, cursor in self._sent if not statement]

    def _send(self, settings: Mapping[str, str], statements: Sequence[Statement]) -> None:
        failure = None
        try:
            with self.conn.pipeline():
                try:
                    self._put_all(settings, statements)
                except psycopg.Error as exc:
                    failure = exc  # the pipeline is left as if nothing had happened: psycopg would log a warning
                except KeyboardInterrupt:
                    self.conn.cancel_safe(timeout=1)
                    self.conn.close()
                    raise
        except psycopg.Error as exc:
            failure = failure or exc
        if failure:
            raise failure

    def _put_all(self, settings: Mapping[str, str], statements: Sequence[Statement]) -> None:
        if settings:
            calls = ", ".join(["set_config(%s, %s, true)"] * len(settings))
            now = "extract(epoch FROM clock_timestamp())::float8 AS ended"
            self._put(f"SELECT {calls}, {now}", [text for pair in settings.items() for text in pair])
        for statement in statements:
            self._put(statement.sql, statement=statement)
            self._put(catalog.query("held"))

    def _put(self, query: str, parameters: Sequence[str] | None = None, statement: Statement | None = None) -> None:
        cursor = self.conn.cursor(row_factory=dict_row)
        self._sent.append((statement, cursor))  # first: to send it may raise what one before it has said
        cursor.execute(query.encode(), parameters)

    @property
    def failed(self) -> Statement | None:
        """The statement that has failed; None if none has, or if it was something else."""
        return next((statement for statement, cursor in self._sent if cursor.pgresult is None), None)

    @property
    def laps(self) -> list[tuple[str, float]]:
        """Each statement's text, and how many milliseconds the server has worked on it."""
        statements = (statement.sql for statement, _ in self._sent if statement)
        return [(sql, ended_ms - began_ms) for sql, (began_ms, ended_ms) in zip(statements, self._spans(), strict=True)]

    def _spans(self) -> list[tuple[float, float]]:
        """When each statement began and ended, in milliseconds since the first began; no clock goes back."""
        first = self._notes[0]["ended"]
        began = [max(0.0, note["ended"] - first) * 1000 for note in self._notes[:-1]]
        ended = [max(0.0, note["began"] - first) * 1000 for note in self._notes[1:]]
        return [(start, max(start, end)) for start, end in zip(began, ended, strict=True)]

    def locks(self, look: Connection) -> tuple[Lock, ...]:
        """The locks on what existed before the transaction, held until now. `look` is another session: what that one
        sees in the catalog existed before.
        """
        notes = self._notes[1:]
        oids = sorted({oid for note in notes for oid in note["oids"]})
        there = catalog.rows(look, "existed", oids=oids) if oids else []
        existed = {row["oid"]: row for row in there}
        trace = Trace()
        for number, (note, (began_ms, _)) in enumerate(zip(notes, self._spans(), strict=True), 1):
            held = zip(note["oids"], note["modes"], strict=True)
            rows = [existed[oid] | {"mode": mode} for oid, mode in held if oid in existed]
            began = min(self._sent_at + began_ms / 1000, self._received_at)  # the server's clock may have been set
            trace.note(number, began, rows)
        files = (file for note in notes for file in zip(note["oids"], note["filenodes"], strict=True))
        return trace.locks({oid: filenode for oid, filenode in files if filenode})  # what was dropped has none


@contextmanager
def _not_preparing(conn: Connection) -> Iterator[None]:
    """Neither prepare what is run meanwhile nor forget, because of an ALTER among it, what was prepared before: that is
    about catalogs and the ledger, which no block alters.
    """
    before, conn.prepare_threshold = conn.prepare_threshold, None
    try:
        yield
    finally:
        conn.prepare_threshold = before


# What is sent while the server works gets away as far as its socket takes it. As long as it waits for the rest, it does
# not count the time that it is idle.
_STATEMENTS, _CHARACTERS = 8, 8_000


def _parts(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """The statements in parts that are away at once, a long one by itself; one part at least."""
    part: list[Statement] = []
    for statement in statements:
        if part and (len(part) == _STATEMENTS or sum(len(s.sql) for s in [*part, statement]) > _CHARACTERS):
            yield part
            part = []
        part.append(statement)
    yield part
