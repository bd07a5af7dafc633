"""One batch of a block: a transaction that holds its statement and its rows in the ledger, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from pglast import ast
from psycopg import errors

from pgrunbook.applying import standbys, waiters
from pgrunbook.applying.one_message import Message
from pgrunbook.applying.waiters import Waiters
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed
from pgrunbook.inventory import changes
from pgrunbook.inventory.read import read_objects
from pgrunbook.planning.keyset import Keyset, NextBatch
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import catalog
from pgrunbook.postgres.locks import Lock
from pgrunbook.postgres.pressure import FLUSH
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.batches import Batching
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A batch as the server has done it.

    - `rows` is how many rows its statement has changed, `rows_written` how many of which table.
    - `elapsed_ms` is the server's time; `waited_ms` is for how long somebody waited for the batch.
    - `locks` were held on what existed before.
    - `blind` says why nobody could look who waits; empty if somebody could.
    """

    began_at: datetime
    rows: int = 0
    rows_written: Sequence[Mapping[str, Any]] = ()
    elapsed_ms: float = 0.0
    waited_ms: float = 0.0
    locks: Sequence[Lock] = ()
    blind: str = ""


# What gives the statements that write into the ledger what was sent, for the same transaction.
Recording = Callable[[BatchResult], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the batches of a block."""

    sessions: Sessions
    block: Block
    batching: Batching
    keyset: Keyset
    timeouts: Timeouts

    def send(self, batch: NextBatch, recording: Recording) -> tuple[BatchResult, bool]:
        """Run the statement for a batch and commit it with what is recorded. Returns what was sent,
        and whether standbys have confirmed it.

        Raises what the server says; then nothing of the batch is there. GaveWay if the application
        would have waited for it.
        """
        conn = self.sessions.work
        message = self._message([self._statement(batch)])
        asked = catalog.statement(conn, "rows_written"), catalog.statement(conn, "catalogs_written")
        try:
            with conn.undoing():
                with self._watch_waiters() as seen:
                    message.send(self.timeouts.settings, *asked)
                    written, catalogs = message.receive()
                    rows = _total(written) if self.batching.calls else message.affected
                    elapsed_ms = message.laps[-1][1]
                    held = message.locks()
                    if catalogs[0]["catalogs"]:
                        _require_rows_alone(conn, self.sessions.look, self.block.name)
                sent = BatchResult(
                    message.began_at,
                    rows,
                    written,
                    elapsed_ms,
                    seen.waited_ms,
                    held,
                    seen.blind,
                )
                return sent, self._commit(message, recording(sent))
        except psycopg.Error:
            # The server counts rows that were rolled back, too, until its statistics are flushed:
            # else those of the next attempt would hold them.
            if not conn.closed:
                conn.execute(FLUSH)
            raise

    def put_aside(self, recording: Recording) -> tuple[BatchResult, bool]:
        """Commit what is recorded, and run no statement."""
        message = self._message([])
        with self.sessions.work.undoing():
            message.send(self.timeouts.settings)
            message.receive()
            sent = BatchResult(message.began_at)
            return sent, self._commit(message, recording(sent))

    def breaks(self, batch: NextBatch, rows: int) -> bool:
        """Whether the first so many rows of the batch break a constraint; nothing is left of it.
        Raises GaveWay as `send` does.
        """
        conn = self.sessions.work
        part = self.keyset.next_batch(conn, batch.after, batch.to, rows)
        message = self._message([self._statement(part)])
        try:
            with conn.undoing():
                with self._watch_waiters():
                    message.send(self.timeouts.settings)
                    message.receive()
                conn.execute("ROLLBACK")
        except errors.IntegrityError:
            return True
        return False

    def explain(self) -> None:
        """Have the server plan the statement for a batch without rows, if it can."""
        if isinstance(self.batching.template.node, ast.CallStmt):
            return
        statement = self.batching.statement(self.keyset.bounds(None, None))
        message = self._message([replace(statement, sql=f"EXPLAIN {statement.sql}")])
        with self.sessions.work.undoing():
            message.send(self.timeouts.settings)
            message.receive()
            self.sessions.work.execute("ROLLBACK")

    def _statement(self, batch: NextBatch) -> Statement:
        return self.batching.statement(self.keyset.bounds(batch.after, batch.to))

    def _message(self, parts: Sequence[Statement]) -> Message:
        block, sessions = self.block, self.sessions
        return Message(
            sessions.work,
            sessions.schema,
            parts,
            traced=False,
            keeper=sessions.keeper,
            path=block.search_path,
            role=block.role,
        )

    def _watch_waiters(self) -> AbstractContextManager[Waiters]:
        """Cancel the batch if somebody waits for the row locks that it holds."""
        # `wait` is what the round trips of a cancel and of the commit leave of lock_timeout
        limit_ms = milliseconds(self.timeouts.wait)
        return waiters.cancel_for_waiters(self.sessions.work, self.sessions.look, limit_ms)

    def _commit(self, message: Message, recorded: Sequence[str]) -> bool:
        """Commit, together with what is recorded. Returns whether standbys have confirmed it."""
        sessions = self.sessions
        if not message.kept:
            raise sessions.lost_lock()
        limit_ms = milliseconds(self.timeouts.lock_timeout)
        with standbys.watch_commit(
            sessions.work, sessions.look, limit_ms, awaits=message.awaits
        ) as commit:
            sessions.work.execute("; ".join([*recorded, FLUSH, standbys.COMMIT]).encode())
        sessions.put_back()
        return commit.confirmed


def _total(written: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["inserted"] + row["updated"] + row["deleted"] for row in written)


_REMEDY = (
    "do that in a block of its own before this one, without the header batch; "
    "what a function needs for itself may be a temporary table"
)


def _require_rows_alone(work: Session, look: Session, block: str) -> None:
    """Raise Failed, with everything rolled back, if the open transaction of `work` has changed
    anything but rows and temporary objects. Called only if it has written to a catalog.

    What a function or a trigger makes would be in no block's effect, and so the ledger would not
    expect it.
    """
    by_batch = changes.read_changes(work)
    found = [f"{each}: made or altered" for each in read_objects(work, by_batch.addresses)]
    lost = []
    if by_batch.xid and by_batch.deleted_from:
        lost = changes.read_overwritten(look, by_batch.xid, by_batch.deleted_from)
    if not found and not lost:
        return
    work.execute("ROLLBACK")  # what it has dropped can be named then
    found += [f"{each}: dropped" for each in read_objects(work, lost)]
    what = "a batch has changed more than rows, by a function or a trigger"
    raise Failed.of(
        what, where=block, expected="rows alone", found="\n".join(found), remedy=_REMEDY
    )
