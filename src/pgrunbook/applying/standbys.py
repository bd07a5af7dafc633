"""A commit that waits for standbys: what becomes of it if they do not confirm it.

Such a commit waits with its locks, for as long as it takes. Cancelled, it is committed on the
primary, and the server says so in a warning:
https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION-HA
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass

import psycopg
from psycopg.errors import Diagnostic

from pgrunbook.errors import Failed
from pgrunbook.postgres import catalog
from pgrunbook.postgres.blockers import Blocker
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.session import CANCEL_S

# How long a commit may wait for standbys that holds no lock on anything that existed before.
PATIENCE_MS = 10_000


@dataclass(slots=True)
class Commit:
    """What has been heard of a commit: whether it was not `confirmed` by standbys, though it was
    done.
    """

    confirmed: bool = True

    def notice(self, said: Diagnostic) -> None:
        """Hear what the server says meanwhile, in whichever language."""
        if said.source_function == "SyncRepWaitForLSN":
            self.confirmed = False


@contextmanager
def watched(work: Connection, look: Connection, limit_ms: float) -> Iterator[Commit]:
    """In the `with` block `work` commits a transaction. So many milliseconds after that began, its
    wait for a standby is cancelled, by the server itself: no network is so near that we would be in
    time. From here, if the server cannot.
    """
    commit = Commit()
    work.add_notice_handler(commit.notice)
    guard = catalog.with_literals(
        "commit_guard", {"pid": work.info.backend_pid, "limit_ms": limit_ms}
    )
    over = threading.Event()
    thread = threading.Thread(target=_guard, args=(work, look, guard, limit_ms, over), daemon=True)
    thread.start()
    try:
        yield commit
    finally:
        over.set()
        work.remove_notice_handler(commit.notice)
        thread.join(PATIENCE_MS / 1000)


def _guard(
    work: Connection, look: Connection, guard: str, limit_ms: float, over: threading.Event
) -> None:
    with suppress(psycopg.Error):  # whatever it is: the commit is not to fail for it
        look.execute(guard.encode())
    # it was no guard: this role has no plpgsql, or track_activities is off
    if not over.wait(limit_ms / 1000):
        with suppress(psycopg.Error):
            work.cancel_safe(timeout=CANCEL_S)


def unwatched() -> AbstractContextManager[Commit]:
    """The same for a commit that waits for no standby."""
    return nullcontext(Commit())


# Who was in the way of such a commit, as the ledger has it.
NOBODY = Blocker(0, "", "synchronous standby", "has not confirmed the commit", None, "", "")


def unconfirmed(block: str) -> Failed:
    """What to raise when a block is committed on the primary alone."""
    return Failed.of(
        "is committed on this server, and not confirmed by a standby: its wait has ended, and its "
        "locks are let go",
        where=block,
        expected="a confirmation by the standbys of synchronous_standby_names",
        found="none in time",
        remedy="see to the standby; when it has caught up, run again: the run goes on after this "
        "block",
    )
