"""While a transaction of ours changes rows: whoever of the application waits for it does not wait
long.

The server does not tell us that somebody waits. So another session of ours looks, and has the
server cancel our statement in time.
https://www.postgresql.org/docs/current/view-pg-locks.html
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from pgrunbook.errors import Failed, first_line
from pgrunbook.postgres import catalog
from pgrunbook.postgres.blockers import Blocker
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.session import Session
from pgrunbook.secrets.patterns import redact

_LOG = logging.getLogger(__name__)

# How often to look. pg_locks is read as a whole, and others want it meanwhile.
EVERY_S = 0.025
# What it takes the server to stop and to roll back, in milliseconds, once it was told to.
_STOPPING_MS = 15.0
_ANSWERING_S = 2.0


@dataclass(slots=True)
class Waiters:
    """Who has waited: how long in milliseconds at most, as far as it was seen, and who that was.

    `gave_way`: the statement was told to stop for it. `blind`: why nobody could look.
    """

    waited_ms: float = 0.0
    who: Blocker | None = None
    gave_way: bool = False
    blind: str = ""


class GaveWay(psycopg.errors.QueryCanceled):
    """The statement was cancelled, as somebody waited for its transaction."""

    waiters: Waiters


@contextmanager
def cancelling(
    work: Session, look: Connection, limit_ms: float, asked: Callable[[], bool] = lambda: False
) -> Iterator[Waiters]:
    """In the `with` block `work` runs statements of one transaction; if somebody waits for it that
    would have to wait for longer than `limit_ms`, what it is at is cancelled, and GaveWay raised;
    so it is if `asked`, which every look calls, says that somebody has asked for it.

    Nothing is cancelled any more once the block is left. `look` is another session's.
    """
    waiters, over = Waiters(), threading.Event()
    pid = work.info.backend_pid
    # Until the next look somebody waits unseen, and its answer takes its way.
    patience_ms = max(0.0, limit_ms - EVERY_S * 1000 - _STOPPING_MS)

    def watch() -> None:
        try:
            # also once it was cancelled: its code may catch that, and keep what it has locked
            while not over.wait(EVERY_S):
                _look(look, pid, patience_ms, waiters)
                if not waiters.gave_way and asked():
                    waiters.gave_way = True
                    look.execute("SELECT pg_catalog.pg_cancel_backend(%s)", [pid])
        # whatever it is: the statement is not to fail for it
        except (psycopg.Error, OSError, ValueError) as exc:
            waiters.blind = first_line(exc)
            _LOG.warning("%s", redact(f"who waits cannot be seen: {waiters.blind}"))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield waiters
    except (psycopg.errors.QueryCanceled, Failed) as exc:
        _end(over, thread, look)
        if waiters.gave_way and isinstance(exc.__cause__ or exc, psycopg.errors.QueryCanceled):
            gave_way = GaveWay(first_line(exc))
            gave_way.waiters = waiters
            raise gave_way from exc
        raise
    finally:
        _end(over, thread, look)


def _look(look: Connection, pid: int, patience_ms: float, waiters: Waiters) -> None:
    for row in catalog.rows(look, "waiters", pid=pid, limit_ms=patience_ms):
        if row["waited_ms"] >= waiters.waited_ms:
            waiters.waited_ms = row["waited_ms"]
            who = row["pid"], row["application"], row["role"]
            waiters.who = Blocker(*who, "waited for us", None, lock="", query="")
        waiters.gave_way = waiters.gave_way or row["cancelled"]


def _end(over: threading.Event, thread: threading.Thread, look: Connection) -> None:
    """Wait for the look that may be under way: the server has sent its cancel before it answers,
    and a session that executes nothing ignores one. So what comes next is never hit by it. A
    session that does not answer is given up.
    """
    over.set()
    thread.join(_ANSWERING_S)
    if thread.is_alive():
        look.close()
        thread.join(_ANSWERING_S)
