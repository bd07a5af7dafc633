"""Who locks the ledger's tables. They are ours, and nobody else is expected to lock them: whoever
does is named in an error, and not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import psycopg

from pgrunbook.errors import Problem
from pgrunbook.postgres.session import Session

if TYPE_CHECKING:
    from pgrunbook.postgres.blockers import Blocker

P = ParamSpec("P")
T = TypeVar("T")

# How long a session of ours waits for a lock. A block's statements have the run's lock_timeout.
LOCK_TIMEOUT = "2s"

# Seconds. After this another session looks whom it waits for; once it has given up, nobody can.
_ASKING_S = 0.5


class Locked(psycopg.errors.LockNotAvailable):
    """The ledger's tables are locked by somebody else."""

    def __init__(self, seen: Sequence[Blocker]) -> None:
        self.seen = tuple(seen)
        found = "; ".join(map(str, seen)) or "it has just let go of them"
        super().__init__(f"the ledger's tables are locked by somebody else: {found}")

    @property
    def problem(self) -> Problem:
        """Who it is, and what to do."""
        ends = [f"SELECT pg_terminate_backend({each.pid})" for each in self.seen if each.pid]
        ending = f", or end it: {'; '.join(ends)}" if ends else ""
        return Problem(
            "the ledger's tables are locked by somebody else",
            where="schema pgrunbook",
            expected="tables that nobody locks",
            found="\n".join(map(str, self.seen)) or "it has just let go of them",
            remedy=f"wait until its transaction has ended{ending}; then do the same again",
        )


@contextmanager
def naming(conn: Session) -> Iterator[None]:
    """Raise Locked, with who was in the way, in place of LockNotAvailable in the `with` block. The
    session is to wait for nothing there but the ledger's tables.

    Only another session can see whom it waits for, and only while it waits: one is opened for that.
    """
    seen: list[Blocker] = []
    if conn.beside is None:
        yield
        return
    pid, beside = conn.info.backend_pid, conn.beside

    def look() -> None:
        from pgrunbook.postgres.blockers import blockers  # here, because PostgreSQL's parser comes

        with closing(beside()) as other:
            # who was seen last is named, if nobody is in the way any more
            seen[:] = [*blockers(other, pid)] or seen

    try:
        with conn.watched(_ASKING_S, look):
            yield
    except Locked:
        raise
    except psycopg.errors.LockNotAvailable as exc:
        raise Locked(seen) from exc


def named(function: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Session, P], T]:
    """Decorate a function whose first argument is a session: all of it is done under `naming`."""

    @wraps(function)
    def asked(conn: Session, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with naming(conn):
            return function(conn, *args, **kwargs)

    return asked
