"""A block in batches: each is a transaction that commits with a row of its own in the ledger, from
the least key on, up to the greatest that there was when the block began.

The block's own row commits with its last batch. Until then it is begun: the next run goes on behind
the last batch that the ledger has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from psycopg import errors

from pgrunbook.applying import broken_rows, standbys, waiters
from pgrunbook.applying.batch_attempts import BatchAttempts
from pgrunbook.applying.broken_rows import BrokenRow
from pgrunbook.applying.effects import Effect
from pgrunbook.applying.giving_way import GivingWay
from pgrunbook.applying.lock_waits import Report
from pgrunbook.applying.one_batch import BatchResult, Sender
from pgrunbook.applying.outcome import Outcome
from pgrunbook.applying.pace import TARGET_MS, Pace
from pgrunbook.applying.remedies import advice
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed, Refused
from pgrunbook.ledger import batches, write
from pgrunbook.ledger.batches import Backfill
from pgrunbook.planning import batch_keys, resume_backfill
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.keyset import Keyset, NextBatch
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import blockers, locks
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.locks import Lock
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.records.format.parts import Progress
from pgrunbook.runbooks.give_way import PressureLimits

FIRST_ROWS = 1_000  # of the first batch, where the header does not say
_TELL_S = 0.5  # how often to tell how far it is

# What to do where somebody waits for longer than lock_timeout even for a batch of one row.
_ONE_ROW = (
    "one row takes longer than lock_timeout, and others wait for it: run again when they are fewer;"
    " or raise the block's lock_timeout, for which they wait then, and its lock_budget"
)


def apply(
    sessions: Sessions,
    decision: Decision,
    run_id: str,
    timeouts: Timeouts,
    *,
    runbook: str,
    report: Report,
    progress: Callable[[Progress], None],
) -> Outcome:
    """Run the block's batches, from the first or from where an earlier run has left off.

    Raises Failed if a batch fails; Interrupted when the time of the header `until` is over, or when
    somebody asks the run to stop. The batches before are there then, and the next run goes on
    behind them.
    """
    sessions.require_lock()
    work = _Work(sessions, decision, run_id, runbook, timeouts.of(decision.block), report, progress)
    work.begin()
    while not work.backfill.done:
        work.giving_way.before_a_batch(work.backfill.far)
        work.one_batch()
    return work.finish()


@dataclass(slots=True)
class _Work:
    """One run's work on a block. `backfill` is how far it has come."""

    sessions: Sessions
    decision: Decision
    run_id: str
    runbook: str
    timeouts: Timeouts
    report: Report
    progress: Callable[[Progress], None]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    keyset: Keyset = field(init=False)
    backfill: Backfill = field(init=False)
    sender: Sender = field(init=False)
    pace: Pace = field(init=False)
    giving_way: GivingWay = field(init=False)
    revision: int = 0  # of the row that says that the block is done
    total: int = -1  # rows of the table; -1 if nobody knows
    elapsed_ms: float = 0.0
    confirmed: bool = True
    written: Sequence[Mapping[str, Any]] = ()  # by this run
    held: Sequence[Lock] = ()  # each as it was held longest
    _few: int = 0  # so many rows come before one that breaks a constraint
    _attempts: BatchAttempts = field(init=False)
    _told: float = 0.0

    # -- how it begins

    def begin(self) -> None:
        """Go on where the ledger says that an earlier run has left off; or write that the block
        begins, and up to which key it goes.
        """
        conn, block = self.sessions.work, self.decision.block
        self._attempts = BatchAttempts(self.sessions, block.name, self.timeouts, self.report)
        write.prepare(conn)
        batches.prepare(conn)
        there = batch_keys.find_key(conn, block)
        if problems := list(batch_keys.problems(block, there)):
            raise Refused("The block cannot be cut into batches.", problems=problems)
        cut = block.batching
        assert there
        assert cut
        self.keyset = Keyset.of(there, block)
        self.sender = Sender(self.sessions, block, cut, self.keyset, self.timeouts)
        self.total = there["estimated_rows"]  # which may be known better than when it began
        self.backfill = self._begun_before() or self._begun_now(self.total)
        self.pace = Pace(
            PressureLimits.parse(self.sessions.target.expected.give_way, cut.give_way),
            cut.rows or FIRST_ROWS,
            cut.target_ms or TARGET_MS,
            milliseconds(self.timeouts.lock_timeout),
        )
        about = self.run_id, block.name, self.backfill.id, self.keyset.name
        self.giving_way = GivingWay(self.sessions, *about, self.pace, cut.until_ms, self._tell)

    def _begun_before(self) -> Backfill | None:
        """What an earlier run has begun with the same file. Raises Refused if it was elsewhere."""
        block = self.decision.block
        found = self._found(self.decision.revision - 1)
        self.revision = self.decision.revision
        if found is None or found.tree_sha256 != block.tree_sha256:
            return None
        if problems := list(resume_backfill.table_problems(block, found, self.keyset.named)):
            raise Refused("The block cannot go on where it was.", problems=problems)
        return found

    def _begun_now(self, estimated_rows: int) -> Backfill:
        decision = self.decision
        upper = self._attempts.retry(lambda: self.keyset.greatest(self.sessions.work))
        batches.begin(
            self.sessions.work,
            self.run_id,
            self._about,
            event="reverting" if decision.action is Action.REVERT else "started",
            revision=decision.revision,
            tree_sha256=decision.block.tree_sha256,
            table=self.keyset.name,
            oid=self.keyset.oid,
            key=self.keyset.columns,
            upper=upper,
            estimated_rows=estimated_rows,
            started_at=self.started_at,
        )
        self.revision = decision.revision + 1
        found = self._found(decision.revision)
        assert found
        return found

    def _found(self, revision: int) -> Backfill | None:
        about = self.runbook, self.sessions.schema, self.decision.block.name
        return batches.find_backfill(self.sessions.work, *about, revision)

    @property
    def _about(self) -> str:
        decision = self.decision
        return write.about(decision.block, reason=decision.reason, sql=decision.sql)

    # -- one batch

    def one_batch(self) -> None:
        """Do the next batch, or come nearer to a row of it that breaks a constraint."""
        try:
            batch = self._attempts.retry(self._next_batch)
            self._send_or_give_way(batch)
        except psycopg.Error as exc:
            raise self._failed(exc) from exc

    def _send_or_give_way(self, batch: NextBatch) -> None:
        """Send a batch. If it gives way to somebody who waits for it, a smaller one comes next."""
        began_at = datetime.now(UTC)
        try:
            self._send(batch)
        except waiters.GaveWay as exc:
            self.pace.note_gave_way(batch.keys)
            self._attempts.note_gave_way(began_at, exc)
            if batch.keys == 1 and self._attempts.used_up:
                raise self._failed(exc, f"key {', '.join(batch.to)}", _ONE_ROW) from exc

    def _send(self, batch: NextBatch) -> None:
        try:
            sent, self.confirmed = self._attempts.retry(
                lambda: self.sender.send(batch, partial(self._recording, batch))
            )
        except errors.IntegrityError as exc:
            self._find_broken_row(batch, exc)
        else:
            self._few = max(0, self._few - batch.keys)
            self._advance(batch, sent)
            self.pace.note_batch(batch.keys, sent.elapsed_ms, sent.waited_ms)

    def _next_batch(self) -> NextBatch:
        assert self.backfill.upper is not None
        rows = min(self._few or self.pace.rows, self.pace.rows)
        behind = self.backfill.at, self.backfill.upper
        batch = self.keyset.next_batch(self.sessions.work, *behind, rows)
        block = self.decision.block
        if problems := [*resume_backfill.table_problems(block, self.backfill, batch.table)]:
            raise Failed("Its table is another one now.", problems=problems)
        return batch

    def _find_broken_row(self, batch: NextBatch, exc: errors.IntegrityError) -> None:
        """Find the row of the batch that breaks a constraint: the next batch has the rows before
        it, and the one after that this row alone. Alone, it is put aside, or ends the run.
        """
        assert self.decision.block.batching
        if batch.keys > 1:
            before = broken_rows.count_before_broken(
                batch.keys,
                lambda rows: self._attempts.retry(lambda: self.sender.breaks(batch, rows)),
            )
            self._few = max(before, 1)
        elif self.decision.block.batching.skips:
            broken = asdict(BrokenRow.of(exc))
            sent, self.confirmed = self._attempts.retry(
                lambda: self.sender.put_aside(partial(self._recording, batch, **broken))
            )
            self._few = 0
            self.backfill = replace(self.backfill, skipped=self.backfill.skipped + 1)
            self._advance(batch, sent)
        else:
            pairs = zip(self.keyset.columns, batch.to, strict=True)
            key = ", ".join(f"{column} = {value}" for column, value in pairs)
            raise self._failed(exc, f"the row with {key}", broken_rows.REMEDY) from exc

    def _recording(self, batch: NextBatch, sent: BatchResult, **broken: str) -> list[str]:
        """Return what writes the batch into the ledger; with the last, that the block is done."""
        row = {
            "backfill": self.backfill.id,
            "number": self.backfill.batches + 1,
            "run_id": self.run_id,
            "from_key": batch.after,
            "to_key": batch.to,
            "keys": batch.keys,
            "rows": sent.rows,
            "rows_written": sent.rows_written,
            "started_at": sent.began_at.isoformat(),
            "elapsed_ms": sent.elapsed_ms,
            "lsn": batch.lsn,
            "lag_s": self.pace.lag_s,
            "attempts": self._attempts.count,
            "waited_for": [asdict(blocker) for blocker in self._attempts.blockers],
        }
        recorded = [batches.batch_insert(self.sessions.work, row | broken)]
        after = self.backfill.after(batch.to, batch.keys, sent.rows, sent.rows_written)
        return [*recorded, self._done(after, sent)] if after.done else recorded

    def _done(self, after: Backfill, last: BatchResult | None = None) -> str:
        """Return the statement that writes into the ledger that the block is done."""
        elapsed_ms = self.elapsed_ms + (last.elapsed_ms if last else 0.0)
        return write.block_insert(
            self.sessions.work,
            self.run_id,
            self._about,
            event=self.decision.event,
            facts={},
            effect=[],
            rows_written=after.written,
            started_at=self.started_at,
            revision=self.revision,
            laps=[(self.decision.sql, elapsed_ms)],
            locks=locks.longest([*self.held, *(last.locks if last else ())]),
        )

    def _advance(self, batch: NextBatch, sent: BatchResult) -> None:
        self.backfill = self.backfill.after(batch.to, batch.keys, sent.rows, sent.rows_written)
        self.elapsed_ms += sent.elapsed_ms
        self.written = batches.sum_rows(self.written, sent.rows_written)
        self.held = locks.longest([*self.held, *sent.locks])
        self._attempts.made.clear()
        self._tell()
        if sent.blind:
            self.giving_way.note_now(f"who waits for a batch could not be seen: {sent.blind}")
        if not self.confirmed and not self.backfill.done:
            raise standbys.unconfirmed_error(self.decision.block.name)

    def _tell(self, paused: Sequence[str] = ()) -> None:
        if not paused and time.monotonic() - self._told < _TELL_S:
            return
        self._told = time.monotonic()
        now, pace = self.backfill, self.pace
        self.progress(
            Progress(
                block=self.decision.block.name,
                done=now.keys,
                total=max(self.total, 0) or None,
                rows_per_s=pace.rows_per_s,
                lag_s=pace.lag_s,
                paused=paused,
            )
        )

    # -- how it ends

    def finish(self) -> Outcome:
        """What was done, once all batches are. Of a table without a row, as a rehearsal's, there
        was none: the server says whether it could have been.
        """
        self._told = 0.0
        self._tell()
        if self.backfill.upper is None:
            self._explain()
            self.sessions.work.execute(self._done(self.backfill).encode())
        elapsed_ms = (datetime.now(UTC) - self.started_at).total_seconds() * 1000
        vacuums = [(done.sql, done.elapsed_ms) for done in self.giving_way.vacuums]
        return Outcome(
            self.decision.block.name,
            self.decision.event,
            ((self.decision.sql.strip(), self.elapsed_ms), *vacuums),
            self.started_at,
            elapsed_ms,
            tuple(self.held),
            confirmed=self.confirmed,
            effect=Effect(rows_written=self.written),
        )

    def _explain(self) -> None:
        try:
            self._attempts.retry(self.sender.explain)
        except psycopg.Error as exc:
            raise self._failed(exc) from exc

    def _failed(self, exc: psycopg.Error, found: str = "", remedy: str = "") -> Failed:
        """Return the error of a batch: what failed, who held its locks, how far the block came."""
        block = self.decision.block
        remedy = remedy or batch_keys.remedy(exc) or advice(exc, block)
        problem = problem_of(exc, where=block.name, remedy=remedy)
        seen = map(str, blockers.last_seen(self._attempts.made))
        told = [problem.found, found, *seen, f"done before it: {self.backfill.far}"]
        problems = [replace(problem, found="\n".join(filter(None, told)))]
        return Failed("A batch failed and was rolled back.", problems=problems)
