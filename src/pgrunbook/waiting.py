"""Waiting for locks without making anybody wait: short attempts, with pauses in which the queue drains.

Whoever asks for a lock that conflicts with ours queues behind us, so the application waits as long as we do. A
block therefore gives up after `lock_timeout`, lets the queue pass, and tries again until `lock_budget` is used up.
https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import tenacity
from pglast import ast, parse_sql
from pglast.parser import ParseError, normalize, scan

from pgrunbook import catalog, locks
from pgrunbook.catalog import Connection
from pgrunbook.parameters import milliseconds
from pgrunbook.session import Session

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

# Pauses grow from the first to the second of these, in seconds, each with up to as much at random as the first. The
# longest decides how soon after a reader has left we notice; the shortest, how often the application feels us.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0

_QUERY_LENGTH = 100

# What the server says to an attempt that did not get its locks.
WITHOUT_LOCKS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that held, or was queued before us for, the lock that we waited for; or a prepared transaction, which
    has the pid 0, and its name for a state.

    `transaction_s` is the age of its transaction in seconds. `query` is its last statement, cut, its literals
    replaced by `$1`, `$2`… What is not shown to our role is None, the query empty, and `state` says so.
    """

    pid: int
    application: str
    role: str
    state: str
    transaction_s: float | None
    lock: str
    query: str

    def __str__(self) -> str:
        who = locks.session(self.pid, self.application, self.role, self.state, self.transaction_s)
        return f"{who}, holds {self.lock}{self.query and f': {self.query}'}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a block to get its locks: when it began, how long it lasted, and who was in the way."""

    block: str
    number: int
    started_at: datetime
    waited_ms: float
    got_locks: bool
    blockers: tuple[Blocker, ...]


# What an attempt is handed to as soon as it is over; and what watches during each of them, and whom it has seen.
Report = Callable[[Attempt], None]
Watch = Callable[[], AbstractContextManager[Sequence[Blocker]]]


def frame(attempts: Sequence[Attempt]) -> pd.DataFrame:
    """One row an attempt and blocker: index `attempt`; columns `at`, `waited_ms`, `pid` (str, as no quantity),
    `application`, `role`, `state`, `transaction_s`, `lock`, `query`; the blocker's are missing where none was seen.
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    rows: list[dict[str, Any]] = []
    for attempt in attempts:
        own = {"attempt": attempt.number, "at": f"{attempt.started_at:%H:%M:%S}", "waited_ms": attempt.waited_ms}
        rows += [own | asdict(blocker) | {"pid": str(blocker.pid)} for blocker in attempt.blockers] or [own]
    columns = ["attempt", "at", "waited_ms", *Blocker.__slots__]
    return pd.DataFrame(rows, columns=columns).astype({"attempt": "Int64"}).set_index("attempt")


def retry(
    action: Callable[[], T],
    *,
    block: str,
    budget: str,
    watch: Watch,
    report: Report,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call the action until it gets its locks or the budget, a PostgreSQL duration, is used up; none begins after that.

    An attempt that did not get them is reported at once; so is one that did after others had not. Raises the last of
    WITHOUT_LOCKS if the budget is used up.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(WITHOUT_LOCKS),
        wait=tenacity.wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)
        + tenacity.wait_random(0, FIRST_PAUSE_S),
        stop=tenacity.stop_before_delay(milliseconds(budget) / 1000),
        sleep=sleep,
        reraise=True,
    )
    for attempt in retrying:
        number = attempt.retry_state.attempt_number
        with attempt:
            result = _try(action, block, number, watch, report)
    return result


def _try(action: Callable[[], T], block: str, number: int, watch: Watch, report: Report) -> T:
    started_at, start = datetime.now(UTC), time.perf_counter()
    seen: Sequence[Blocker] = ()

    def attempt(*, got_locks: bool) -> Attempt:
        waited_ms = round((time.perf_counter() - start) * 1000, 1)
        return Attempt(block, number, started_at, waited_ms, got_locks, tuple(seen))

    try:
        with watch() as seen:
            result = action()
    except WITHOUT_LOCKS:
        report(attempt(got_locks=False))
        raise
    if number > 1:
        report(attempt(got_locks=True))
    return result


@contextmanager
def watched(work: Session, look: Connection, lock_timeout: str) -> Iterator[Sequence[Blocker]]:
    """Look, in another session, who blocks the session `work`, as long as the `with` block lasts: whom it saw last.

    After the attempt it would be too late to ask: with our request the reason to be blocked is gone.
    """
    seen: list[Blocker] = []

    def ask() -> None:
        seen[:] = [*blockers(look, work.info.backend_pid)] or seen

    with work.watched(milliseconds(lock_timeout) / 1000 / 4, ask):
        yield seen


def blockers(conn: Connection, pid: int) -> Iterator[Blocker]:
    """Who blocks this session now. Reads only. Without pg_read_all_stats, little is shown of other roles."""
    for row in catalog.rows(conn, "blockers", pid=pid):
        yield Blocker(**row | {"query": row["query"] and _without_literals(row["query"])})


def _without_literals(query: str) -> str:
    """A query's text without literals and comments. Of what cannot be parsed (it was cut), and of other commands than
    queries, only the first word or two: there is no telling what else is in them.
    """
    try:
        (raw, *_) = parse_sql(query)
        text = normalize(query)
    except (ParseError, ValueError):
        return " ".join(re.findall(r"^\s*([A-Za-z]+)", query)).upper() + " …"
    if not isinstance(raw.stmt, _QUERIES):
        return re.sub("(?<=[a-z])(?=[A-Z])", " ", type(raw.stmt).__name__.removesuffix("Stmt")).upper()
    comments = [token for token in scan(text) if token.name in ("SQL_COMMENT", "C_COMMENT")]
    for comment in reversed(comments):
        text = text[: comment.start] + text[comment.end + 1 :]
    text = " ".join(text.split())
    return text if len(text) <= _QUERY_LENGTH else text[: _QUERY_LENGTH - 1] + "…"


_QUERIES = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
