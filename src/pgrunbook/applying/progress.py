"""How far a statement has come that takes as long as it takes, as another session sees it."""

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
class Progress:
    """How far a statement has come: the server's name of its phase, how much of it is done, and who
    is waited for.

    `done` and `total` count blocks or rows, or while it waits, the transactions to wait for.
    """

    block: str
    phase: str
    done: int
    total: int
    blockers: tuple[Blocker, ...]


@dataclass(slots=True)
class Watch:
    """Looks, in the session `look`, at what the session `work` is doing for a block: how far it has
    come, which locks it has, and who was in its way last.
    """

    sessions: Sessions
    block: str
    report: Callable[[Progress], None]
    blockers: tuple[Blocker, ...] = ()

    def look(self, trace: Trace, number: int, sent: float) -> None:
        """Look at the statement of this number; if the session for that is lost, told to stop, or
        not let in anew, again next time. Raises Silent: nobody else would find out that the server
        is.
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
            self.report(Progress(self.block, blockers=self.blockers, **row))
