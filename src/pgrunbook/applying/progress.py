"""Watches a statement outside a transaction, which takes as long as it takes, from another session:
how far it has come, and whom it waits for.
https://www.postgresql.org/docs/current/progress-reporting.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from pgrunbook.errors import Refused
from pgrunbook.postgres import blockers, catalog
from pgrunbook.postgres.blockers import Blocker
from pgrunbook.postgres.locks import Trace
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Silent

# How often to look how far a statement has come.
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class StatementProgress:
    """How far a statement has come.

    - `phase` is the server's name of what it is doing.
    - `done` and `total` count blocks or rows; or while it waits, the transactions to wait for.
    - `blockers` are the sessions that it waits for.
    """

    block: str
    phase: str
    done: int
    total: int
    blockers: tuple[Blocker, ...]


@dataclass(slots=True)
class StatementWatch:
    """Looks, in the session `look`, at what the session `work` is doing for a block. `report` is
    given how far it has come; `blockers` are the last sessions that it had to wait for.
    """

    sessions: Sessions
    block: str
    report: Callable[[StatementProgress], None]
    blockers: tuple[Blocker, ...] = ()

    def look(self, trace: Trace, number: int, sent: float) -> None:
        """Look at the statement of this number, which was sent at that time, and note its locks in
        the trace.

        If the session `look` is lost or cannot be opened again, the next look may do. Raises Silent
        if the server does not answer: `work` waits without a limit, and would never find out.
        """
        try:
            self._look(trace, number, sent)
        except Silent:
            raise
        except Refused as exc:  # while it was opened anew
            if isinstance(exc.__cause__, Silent):
                raise exc.__cause__ from None
        except psycopg.OperationalError:
            return

    def _look(self, trace: Trace, number: int, sent: float) -> None:
        look, pid = self.sessions.look, self.sessions.work.info.backend_pid
        trace.note(number, sent, catalog.rows(look, "locks", pid=pid))
        self.blockers = tuple(blockers.blockers(look, pid))
        for row in catalog.rows(look, "progress", pid=pid):
            self.report(StatementProgress(self.block, blockers=self.blockers, **row))
