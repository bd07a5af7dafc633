"""Waiting for locks without making anybody wait: short attempts, with pauses in which the queue
drains.

Whoever asks for a lock that conflicts with ours queues behind us, so the application waits as long
as we do. A block therefore gives up after `lock_timeout`, lets the queue pass, and tries again
until `lock_budget` is used up. https://www.postgresql.org/docs/current/explicit-locking.html
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
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.session import Session
from pgrunbook.secrets.patterns import redact

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

# Pauses grow from the first to the second of these, in seconds, each with up to as much at random
# as the first. The longest decides how soon after a reader has left we notice; the shortest, how
# often the application feels us.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0


# What the server says to an attempt that did not get its locks.
WITHOUT_LOCKS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


# What an attempt is handed to as soon as it is over; and what watches during each of them, and whom
# it has seen.
Report = Callable[[Attempt], None]
Watch = Callable[[], AbstractContextManager[Sequence[Blocker]]]


def frame(attempts: Sequence[Attempt]) -> pd.DataFrame:
    """One row an attempt and blocker: index `attempt`; columns `at`, `waited_ms`, `pid` (str, as no
    quantity), `application`, `role`, `state`, `transaction_s`, `lock`, `query`; the blocker's are
    missing where none was seen.
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    rows: list[dict[str, Any]] = []
    for attempt in attempts:
        own = {
            "attempt": attempt.number,
            "at": f"{attempt.started_at:%H:%M:%S}",
            "waited_ms": attempt.waited_ms,
        }
        rows += [
            own | asdict(blocker) | {"pid": str(blocker.pid)} for blocker in attempt.blockers
        ] or [own]
    columns = ["attempt", "at", "waited_ms", *Blocker.__slots__]
    return pd.DataFrame(rows, columns=columns).astype({"attempt": "Int64"}).set_index("attempt")


def pause_s(number: int) -> float:
    """For how long to pause after so many attempts, the first is 1, in seconds."""
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
    """Call the action until it gets its locks or the budget, a PostgreSQL duration, is used up;
    none begins after that.

    An attempt that did not get them is reported at once; so is one that did after others had not,
    or after an autovacuum was cancelled for it. Raises the last of `again`, the errors after which
    it is tried again, if the budget is used up.
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

    def attempt(*, got_locks: bool) -> Attempt:
        waited_ms = round((time.perf_counter() - start) * 1000, 1)
        return Attempt(block, number, started_at, waited_ms, got_locks, tuple(seen))

    def tell(made: Attempt) -> None:
        got = "has its locks" if made.got_locks else "gave up"
        whom = "; ".join(map(str, made.blockers)) or "nobody that was seen"
        what = f"{block}: attempt {number} {got} after {made.waited_ms:.0f} ms, behind {whom}"
        _LOG.info("%s", redact(what))
        report(made)

    try:
        with watch() as seen:
            result = action()
    except again:
        tell(attempt(got_locks=False))
        raise
    if number > 1 or any(blocker.autovacuum for blocker in seen):
        tell(attempt(got_locks=True))
    return result


@contextmanager
def watched(
    work: Session, look: Connection, lock_timeout: str, limit_ms: float | None = None
) -> Iterator[Sequence[Blocker]]:
    """Look, in another session, who blocks the session `work`, as long as the `with` block lasts:
    whom it saw last. An autovacuum among them is cancelled. So is `work`, where it waits for a lock
    `limit_ms` after its transaction began, as it does in a function that locks one table after the
    other: that is LockNotAvailable, too.

    After the attempt it would be too late to ask: with our request the reason to be blocked is
    gone. Who waits for the answer is another thread: `work` is not to hold its locks meanwhile.
    """
    seen: list[Blocker] = []
    over, overdue = threading.Event(), threading.Event()
    pid = work.info.backend_pid
    every_s = milliseconds(lock_timeout) / 1000 / 4

    def ask() -> None:
        with suppress(psycopg.Error):  # whatever it is: the one that waits is not to fail for it
            while not over.is_set():
                seen[:] = [*met(look, pid)] or seen
                if limit_ms is not None and catalog.rows(
                    look, "overdue", pid=pid, limit_ms=limit_ms
                ):
                    overdue.set()
                over.wait(every_s)

    thread = threading.Thread(target=ask, daemon=True)

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


def met(conn: Connection, pid: int) -> Iterator[Blocker]:
    """Who blocks this session now; an autovacuum that may be cancelled is, if this role may do
    so.
    """
    for blocker in blockers(conn, pid):
        if blocker.autovacuum and blocker.autovacuum != PREVENTS_WRAPAROUND:
            yield replace(blocker, autovacuum=_cancelled(conn, blocker.pid))
        else:
            yield blocker


def _cancelled(conn: Connection, pid: int) -> str:
    try:
        conn.execute(
            f"{_CANCEL.format('pid')} FROM pg_stat_activity WHERE pid = %s AND usesysid IS "
            "NULL".encode(),
            [pid],
        )
    except psycopg.errors.InsufficientPrivilege as exc:
        return f"not {CANCELLED}: {exc.diag.message_primary}"
    return CANCELLED
