"""Watches a commit that waits for standbys, and ends its wait if they do not confirm it.

Such a commit waits with its locks, for as long as it takes. Cancelled, it is committed on the
primary, and the server says so in a warning:
https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION-HA
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg.errors import Diagnostic

from pgrunbook.errors import Failed
from pgrunbook.postgres import catalog
from pgrunbook.postgres.blockers import Blocker
from pgrunbook.postgres.session import CANCEL_S, Session

# Commits with the role's own synchronous_commit, whatever the block has set. With `off` the commit
# might not be on the disk when the ledger is believed to have it; with a stricter value it would
# wait for standbys that nobody watches.
COMMIT = (
    "SELECT pg_catalog.set_config('synchronous_commit', "
    "pg_catalog.current_setting('pgrunbook.synchronous_commit'), true); COMMIT"
)

# How long a commit may wait for standbys if it holds no lock on anything that existed before.
PATIENCE_MS = 10_000


@dataclass(slots=True)
class Commit:
    """A commit, and whether the standbys that it waits for have confirmed it."""

    confirmed: bool = True

    def notice(self, said: Diagnostic) -> None:
        """Take a notice of the server: one of them warns that the wait was cancelled."""
        # The warning is in the server's language; the name of the C function is not.
        if said.source_function == "SyncRepWaitForLSN":
            self.confirmed = False


@contextmanager
def watch_commit(
    work: Session, look: Session, limit_ms: float, *, awaits: bool = True
) -> Iterator[Commit]:
    """Watch the commit that `work` sends in the `with` block: its wait for standbys is cancelled
    after `limit_ms`. Then it is committed on the primary, and not `confirmed`. Does nothing unless
    the commit `awaits` a standby.
    """
    commit = Commit()
    if not awaits:
        yield commit
        return
    # A statement in the session `look` cancels it on the server: from here a cancel may come too
    # late, as the network may be slow. If that cannot be done, it is cancelled from here. `look`
    # waits meanwhile, and so do we for `work`: hence the thread.
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
    work: Session, look: Session, guard: str, limit_ms: float, over: threading.Event
) -> None:
    with suppress(psycopg.Error):  # whatever fails here, the commit is not to fail for it
        look.execute(guard.encode())
    # If the commit is not over, the statement was no guard: this role has no plpgsql, or
    # track_activities is off.
    if not over.wait(limit_ms / 1000):
        with suppress(psycopg.Error):
            work.cancel_safe(timeout=CANCEL_S)


# Who was in the way of such a commit, as the ledger has it.
NOBODY = Blocker(0, "", "synchronous standby", "has not confirmed the commit", None, "", "")


def unconfirmed_error(block: str) -> Failed:
    """Return what to raise when a block is committed on the primary alone."""
    return Failed.of(
        "is committed on this server, and not confirmed by a standby: its wait has ended, and its "
        "locks are let go",
        where=block,
        expected="a confirmation by the standbys of synchronous_standby_names",
        found="none in time",
        remedy="see to the standby; when it has caught up, run again: the run goes on after this "
        "block",
    )
