"""Cancels a statement of ours that changes rows before the application has waited for it too long.

The server does not tell a session that another one waits for it. So a second session of ours looks
into pg_locks, in a thread of its own, and has the server cancel the statement in time.
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
    """Who has waited for us.

    - `waited_ms` is the longest wait, as far as it was seen; `who` is that session.
    - `gave_way`: the statement was cancelled for it.
    - `blind` says why nobody could look; empty if somebody could.
    """

    waited_ms: float = 0.0
    who: Blocker | None = None
    gave_way: bool = False
    blind: str = ""


class GaveWay(psycopg.errors.QueryCanceled):
    """The statement was cancelled, as somebody waited for its transaction."""

    waiters: Waiters


@contextmanager
def cancel_for_waiters(
    work: Session, look: Session, limit_ms: float, asked: Callable[[], bool] = lambda: False
) -> Iterator[Waiters]:
    """Watch who waits for the transaction of the session `work`, as long as the `with` block lasts.

    Its statement is cancelled, and GaveWay raised, before somebody has waited for `limit_ms`; or
    when `asked`, which is called at every look, returns True. `look` is another session. Nothing is
    cancelled any more once the block is left.
    """
    waiters, over = Waiters(), threading.Event()
    pid = work.info.backend_pid
    # Somebody may have begun to wait just after a look, and the server takes a while to stop.
    patience_ms = max(0.0, limit_ms - EVERY_S * 1000 - _STOPPING_MS)

    def watch() -> None:
        try:
            # It goes on after a cancel: a function may catch that, and keep the locks.
            while not over.wait(EVERY_S):
                _look(look, pid, patience_ms, waiters)
                if not waiters.gave_way and asked():
                    waiters.gave_way = True
                    look.execute("SELECT pg_catalog.pg_cancel_backend(%s)", [pid])
        # Whatever fails here, the statement is not to fail for it: it is reported as `blind`.
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


def _look(look: Session, pid: int, patience_ms: float, waiters: Waiters) -> None:
    for row in catalog.rows(look, "waiters", pid=pid, limit_ms=patience_ms):
        if row["waited_ms"] >= waiters.waited_ms:
            waiters.waited_ms = row["waited_ms"]
            who = row["pid"], row["application"], row["role"]
            waiters.who = Blocker(*who, "waited for us", None, lock="", query="")
        waiters.gave_way = waiters.gave_way or row["cancelled"]


def _end(over: threading.Event, thread: threading.Thread, look: Session) -> None:
    """Wait until the last look has its answer, so that no late cancel hits what comes next.

    The server sends the cancel before it answers the look, and a session that executes nothing
    ignores one. A session `look` that does not answer is closed.
    """
    over.set()
    thread.join(_ANSWERING_S)
    if thread.is_alive():
        look.close()
        thread.join(_ANSWERING_S)
