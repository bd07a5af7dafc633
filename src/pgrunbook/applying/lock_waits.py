"""Waits for locks without making the application wait: in short attempts, with pauses between them
in which the queue drains.

PostgreSQL grants locks in the order in which they were asked for. Whoever asks for one that
conflicts with ours queues behind us, even if we have none yet: the application waits as long as we
do. So a block gives up after `lock_timeout`, lets the queue pass, and tries again until
`lock_budget` is used up. https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import tenacity

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Failed, first_line
from pgrunbook.postgres import catalog
from pgrunbook.postgres.blockers import (
    _CANCEL,
    CANCELLED,
    PREVENTS_WRAPAROUND,
    Attempt,
    Blocker,
    blockers,
)
from pgrunbook.postgres.session import Session
from pgrunbook.secrets.patterns import redact

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

# Pauses double from the first of these to the second, in seconds; to each is added a random time of
# up to the first. The shortest decides how often the application has to wait for us; the longest,
# how soon we notice that a blocker is gone. Used by blocks in a transaction, partitions that are
# detached, batches, and verify scripts.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0


# The server's errors for an attempt that did not get its locks.
WITHOUT_LOCKS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


# Is called with each attempt as soon as it is over.
Report = Callable[[Attempt], None]
# Makes what watches during one attempt: a context manager that yields the blockers seen so far.
Watch = Callable[[], AbstractContextManager[Sequence[Blocker]]]


def frame(attempts: Sequence[Attempt]) -> pd.DataFrame:
    """Return a row for each attempt and blocker: index `attempt` (Int64); columns `at` (str),
    `waited_ms` (float), `pid` (str, as it is no quantity), `application`, `role`, `state` (str),
    `transaction_s` (float), `lock`, `query` (str). Those of the blocker are missing where none was
    seen.
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    rows: list[dict[str, Any]] = []
    for attempt in attempts:
        own = {
            "attempt": attempt.number,
            "at": f"{attempt.started_at:%H:%M:%S}",
            "waited_ms": attempt.waited_ms,
        }
        for blocker in attempt.blockers:
            rows.append(own | asdict(blocker) | {"pid": str(blocker.pid)})
        if not attempt.blockers:
            rows.append(own)
    columns = ["attempt", "at", "waited_ms", *Blocker.__slots__]
    return pd.DataFrame(rows, columns=columns).astype({"attempt": "Int64"}).set_index("attempt")


def pause_s(number: int) -> float:
    """Return for how long to pause after an attempt, in seconds; the first has the number 1."""
    # At random: else we could meet a job that locks the table at regular times each time again.
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(number - 1, 10), LONGEST_PAUSE_S)
    return pause_s + random.uniform(0, FIRST_PAUSE_S)  # noqa: S311 - no secret


def retry(
    action: Callable[[], T],
    *,
    block: str,
    budget: str,
    watch: Watch,
    report: Report,
    sleep: Callable[[float], None] = time.sleep,
    again: tuple[type[psycopg.Error], ...] = WITHOUT_LOCKS,
) -> T:
    """Call the action until it gets its locks. No attempt begins after the budget, a PostgreSQL
    duration, is used up.

    - `watch` looks for blockers during an attempt.
    - `report` is called with each attempt that did not get its locks; and with the one that did, if
      others had not before it, or if an autovacuum was cancelled for it.
    - `again` are the errors after which it is called again. The last one is raised if the budget is
      used up.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(again),
        wait=lambda state: pause_s(state.attempt_number),
        stop=tenacity.stop_before_delay(milliseconds(budget) / 1000),
        sleep=sleep,
        reraise=True,
    )
    for attempt in retrying:
        number = attempt.retry_state.attempt_number
        with attempt:
            result = _try(action, block, number, watch, report, again)
    return result


def _try(
    action: Callable[[], T],
    block: str,
    number: int,
    watch: Watch,
    report: Report,
    again: tuple[type[psycopg.Error], ...],
) -> T:
    started_at, start = datetime.now(UTC), time.perf_counter()
    seen: Sequence[Blocker] = ()

    def note(*, got_locks: bool) -> None:
        waited_ms = round((time.perf_counter() - start) * 1000, 1)
        attempt = Attempt(block, number, started_at, waited_ms, got_locks, tuple(seen))
        how = "has its locks" if got_locks else "gave up"
        whom = "; ".join(map(str, seen)) or "nobody that was seen"
        what = f"{block}: attempt {number} {how} after {waited_ms:.0f} ms, behind {whom}"
        _LOG.info("%s", redact(what))
        report(attempt)

    try:
        with watch() as seen:
            result = action()
    except again:
        note(got_locks=False)
        raise
    if number > 1 or any(blocker.autovacuum for blocker in seen):
        note(got_locks=True)
    return result


@contextmanager
def watch_blockers(
    work: Session, look: Session, lock_timeout: str, limit_ms: float | None = None
) -> Iterator[Sequence[Blocker]]:
    """Watch, in the session `look`, who blocks the session `work`, as long as the `with` block
    lasts. Yields the blockers that were seen last.

    An autovacuum among them is cancelled. So is `work` itself, if it still waits for a lock
    `limit_ms` after its transaction began, as it may in a function that locks one table after the
    other. Raises LockNotAvailable then.
    """
    # Asked while the attempt waits: afterwards, without our request for the lock, nobody blocks us.
    # In a thread: the answers take their time, and `work` must not hold its locks meanwhile.
    seen: list[Blocker] = []
    over, overdue = threading.Event(), threading.Event()
    pid = work.info.backend_pid
    every_s = milliseconds(lock_timeout) / 1000 / 4

    def look_again_and_again() -> None:
        with suppress(psycopg.Error):  # whatever fails here, the attempt is not to fail for it
            while not over.is_set():
                found = list(_find_blockers(look, pid))
                if found:
                    seen[:] = found
                # the query cancels `work` if it is overdue
                if limit_ms is not None and catalog.rows(
                    look, "overdue", pid=pid, limit_ms=limit_ms
                ):
                    overdue.set()
                over.wait(every_s)

    thread = threading.Thread(target=look_again_and_again, daemon=True)

    def begin() -> None:
        if thread.ident is None:
            thread.start()

    def end() -> None:
        over.set()
        if thread.ident is not None:
            thread.join(_ANSWERING_S)

    try:
        with work.watched(every_s, begin):
            yield seen
    except (psycopg.errors.QueryCanceled, Failed) as exc:
        end()
        if overdue.is_set() and isinstance(exc.__cause__ or exc, psycopg.errors.QueryCanceled):
            raise psycopg.errors.LockNotAvailable(first_line(exc)) from exc
        raise
    finally:
        end()


_ANSWERING_S = 2.0


def _find_blockers(conn: Session, pid: int) -> Iterator[Blocker]:
    """Yield who blocks this session now; an autovacuum that may be cancelled is, if this role may
    do so.
    """
    for blocker in blockers(conn, pid):
        if blocker.autovacuum and blocker.autovacuum != PREVENTS_WRAPAROUND:
            yield replace(blocker, autovacuum=_cancel_autovacuum(conn, blocker.pid))
        else:
            yield blocker


def _cancel_autovacuum(conn: Session, pid: int) -> str:
    """Cancel an autovacuum, and return what came of it."""
    # A worker of autovacuum belongs to no role. The process may be another one by now.
    try:
        conn.execute(
            f"{_CANCEL.format('pid')} FROM pg_stat_activity WHERE pid = %s AND usesysid IS "
            "NULL".encode(),
            [pid],
        )
    except psycopg.errors.InsufficientPrivilege as exc:
        return f"not {CANCELLED}: {exc.diag.message_primary}"
    return CANCELLED
